"""A gateway of a support assistant, with FastAPI and OpenTelemetry: it searches, then hands the model's stream on."""

from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("gateway")
app = FastAPI()
FastAPIInstrumentor.instrument_app(app)
vectors = httpx.AsyncClient(base_url="http://vectors:8000", timeout=0.4)
model = httpx.AsyncClient(base_url="http://model:8000", timeout=60)


@app.post("/v1/chat/completions")
async def chat(request: Request) -> StreamingResponse:
    """Search, then ask the model; without an answer of the search the model is asked without context."""
    named = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "support"}
    workflow = tracer.start_span("invoke_workflow support", attributes=named)
    with trace.use_span(workflow):
        await search()
    body = await request.body()

    async def answer() -> AsyncIterator[bytes]:
        hop = tracer.start_span(
            "chat", trace.set_span_in_context(workflow), attributes={"gen_ai.operation.name": "chat"}
        )
        try:
            async with model.stream("POST", request.url.path, content=body) as reply:
                async for chunk in reply.aiter_raw():
                    yield chunk
        finally:
            hop.end()
            workflow.end()

    return StreamingResponse(answer(), media_type="text/event-stream")


async def search() -> None:
    """One retrieval, of 400 ms at most."""
    with tracer.start_as_current_span("search", attributes={"gen_ai.operation.name": "retrieval"}) as hop:
        try:
            reply = await vectors.post("/v1/completions", json={"model": "search", "prompt": "q", "max_tokens": 8})
            hop.set_attribute("db.response.returned_rows", reply.json()["usage"]["completion_tokens"])
        except httpx.TimeoutException:
            hop.set_attributes({"error.type": "timeout", "rag.answered_without": True})

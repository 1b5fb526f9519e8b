"""A support assistant for Hayhooks: a pipeline of policy, search, a tool and a model, in which Haystack traces each."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
from hayhooks import BasePipelineWrapper, async_streaming_generator
from haystack import Document, Pipeline, component
from haystack.components.builders import ChatPromptBuilder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

PROMPT = "{% for each in documents %}{{ each.content }}\n{% endfor %}{{ order }}\n{{ question }}"
client = httpx.Client()


def ask(url: str, timeout: float, **fields: Any) -> dict[str, Any]:
    """Another service's answer."""
    return client.post(url, json=fields, timeout=timeout).raise_for_status().json()


@component
class Policy:
    """Lets a question pass."""

    @component.output_types(question=str)
    def run(self, question: str) -> dict[str, str]:
        """Ask the guard; a question that it denies ends the pipeline."""
        if not ask("http://guard:8000/v1/policy", 2, messages=[{"role": "user", "content": question}])["allowed"]:
            raise ValueError("the policy denies this question")
        return {"question": question}


@component
class Search:
    """Finds documents."""

    @component.output_types(failure=str, documents=list[Document])
    def run(self, question: str) -> dict[str, Any]:
        """Wait for 400 ms; the pipeline goes on without documents where there is no answer."""
        try:
            found = ask("http://vectors:8000/v1/retrieve", 0.4, query=question, k=4)["results"]
        except httpx.HTTPError as error:
            return {"failure": type(error).__name__, "documents": []}
        return {"failure": "", "documents": [Document(content=each["text"]) for each in found]}


@component
class OrderStatus:
    """Looks up the order that the question is about."""

    @component.output_types(order=str)
    def run(self, question: str, documents: list[Document]) -> dict[str, str]:
        """Call the tool."""
        fields = {"name": "order-status", "arguments": f"{question} ({len(documents)} documents)"}
        return {"order": ask("http://tools:8000/v1/tools/call", 10, **fields)["content"]}


class PipelineWrapper(BasePipelineWrapper):
    """Answers `POST /v1/chat/completions` for the model `support`."""

    def setup(self) -> None:
        """Build the pipeline."""
        model = OpenAIChatGenerator(Secret.from_token("none"), "any", api_base_url="http://model:8000/v1")
        self.pipeline = Pipeline()
        self.pipeline.add_component("policy", Policy())
        self.pipeline.add_component("search", Search())
        self.pipeline.add_component("order-status", OrderStatus())
        self.pipeline.add_component("prompt", ChatPromptBuilder([ChatMessage.from_user(PROMPT)], "*"))
        self.pipeline.add_component("llm", model)
        for output, *inputs in (
            ("policy.question", "search.question", "order-status.question", "prompt.question"),
            ("search.documents", "order-status.documents", "prompt.documents"),
            ("order-status.order", "prompt.order"),
            ("prompt.prompt", "llm.messages"),
        ):
            for each in inputs:
                self.pipeline.connect(output, each)

    async def run_chat_completion_async(
        self, model: str, messages: list[dict[str, Any]], body: dict[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Run it, and stream what its last component writes."""
        told = {"policy": {"question": messages[-1]["content"]}}
        told["llm"] = {"generation_kwargs": {"max_tokens": body.get("max_tokens")}}
        return async_streaming_generator(self.pipeline, pipeline_run_args=told)

"""Names the attributes of spans: those of the GenAI conventions, and chaoskit's own.

| attribute                                | of              | value                                               |
|------------------------------------------|-----------------|-----------------------------------------------------|
| `gen_ai.operation.name`                  | every span      | what its program calls the operation                |
| `gen_ai.workflow.name`                   | a workflow      | its name                                            |
| `server.address`                         | a call          | the host that was called                            |
| `chaoskit.attempt`                       | an attempt      | 1 for the first; it is a child of its hop           |
| `chaoskit.hedge`                         | an attempt      | made beside one that still ran                      |
| `chaoskit.connect_ns`                    | an attempt      | opening the connection; none where it was kept      |
| `chaoskit.first_token_ns`                | workflow, model | from its begin to the first token, sent or received |
| `chaoskit.retrieval.outcome`             | a retrieval     | `hit`, `miss`, `timeout`, `error` or `degraded`     |
| `chaoskit.retrieval.fallback`            | a retrieval     | the fallback that answered in its place             |
| `chaoskit.class`                         | workflow, model | the traffic class                                   |
| `chaoskit.admission`                     | a workflow      | `admitted`, `queued` and then admitted, or `shed`   |
| `chaoskit.queue_ns`                      | a workflow      | the time that it waited to be admitted              |
| `chaoskit.degraded`                      | a workflow      | steps of the ladder in force, with commas           |
| `chaoskit.ladder.step`                   | a switch        | the step that came into force or was released       |
| `chaoskit.ladder.switch`                 | a switch        | `entered` or `released`                             |
| `chaoskit.ladder.signal`                 | a switch        | the signal then, a number; ns of a first token      |
| `chaoskit.ladder.threshold`              | a switch        | what it reached, or had not been above              |
| `chaoskit.service_tier.asked`            | workflow, model | the tier that was asked for                         |
| `chaoskit.service_tier.served`           | workflow, model | the tier that answered                              |
| `chaoskit.model.queue_ns`                | a model         | waiting, before the first step with tokens of it    |
| `chaoskit.model.prefill_ns`              | a model         | from that step to the first token                   |
| `chaoskit.model.prefill_interference_ns` | a model         | the part of that for other requests in its steps    |
| `chaoskit.model.preemptions`             | a model         | how often it lost its KV cache                      |
| `chaoskit.model.preempted_ns`            | a model         | waiting and computing again because of that         |
| `chaoskit.model.interference_ns`         | a model         | what other prompts made its decode steps longer     |
| `chaoskit.model.prompt_tokens`           | a model         | tokens of the prompt                                |
| `chaoskit.model.output_tokens`           | a model         | tokens of the answer                                |

Conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/. Times are integers, in ns. All are optional.
"""

from __future__ import annotations

OPERATION_NAME = "gen_ai.operation.name"
WORKFLOW_NAME = "gen_ai.workflow.name"
SERVER_ADDRESS = "server.address"
ERROR_TYPE = "error.type"
ATTEMPT = "chaoskit.attempt"
HEDGE = "chaoskit.hedge"
CONNECT = "chaoskit.connect_ns"
FIRST_TOKEN = "chaoskit.first_token_ns"
RETRIEVAL_OUTCOME = "chaoskit.retrieval.outcome"
RETRIEVAL_FALLBACK = "chaoskit.retrieval.fallback"
TRAFFIC_CLASS = "chaoskit.class"
ADMISSION = "chaoskit.admission"
ADMISSION_QUEUE = "chaoskit.queue_ns"
DEGRADED = "chaoskit.degraded"
LADDER_STEP = "chaoskit.ladder.step"
LADDER_SWITCH = "chaoskit.ladder.switch"
LADDER_SIGNAL = "chaoskit.ladder.signal"
LADDER_THRESHOLD = "chaoskit.ladder.threshold"
TIER_ASKED = "chaoskit.service_tier.asked"
TIER_SERVED = "chaoskit.service_tier.served"
MODEL_QUEUE = "chaoskit.model.queue_ns"
MODEL_PREFILL = "chaoskit.model.prefill_ns"
MODEL_PREFILL_INTERFERENCE = "chaoskit.model.prefill_interference_ns"
MODEL_PREEMPTIONS = "chaoskit.model.preemptions"
MODEL_PREEMPTED = "chaoskit.model.preempted_ns"
MODEL_INTERFERENCE = "chaoskit.model.interference_ns"
MODEL_PROMPT_TOKENS = "chaoskit.model.prompt_tokens"
MODEL_OUTPUT_TOKENS = "chaoskit.model.output_tokens"

"""Judges requests to models by the definitions in Anthropic's and OpenAI's own clients, and makes answers by theirs.

One request a line on standard input, `{"style", "body", "text", "stop"}`; one answer a line: `{"violations", "answer"}`.
"""

import json
import sys

from anthropic.types import Message
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from anthropic.types.message_param import MessageParam
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import ConfigDict, TypeAdapter, ValidationError

for definition in (MessageCreateParamsNonStreaming, CompletionCreateParamsNonStreaming):
    definition.__pydantic_config__ = ConfigDict(extra="forbid")
JUDGES = {
    "anthropic": (TypeAdapter(MessageCreateParamsNonStreaming), TypeAdapter(MessageParam)),
    "openai": (TypeAdapter(CompletionCreateParamsNonStreaming), TypeAdapter(ChatCompletionMessageParam)),
}


def violations(style, body):
    whole, message = JUDGES[style]
    found = []
    # Lists of messages are looked into one by one: the definitions call them iterable.
    for judge, value in [(whole, body)] + [(message, entry) for entry in body.get("messages", [])]:
        try:
            judge.validate_python(value)
        except ValidationError as error:
            found += [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return found


def anthropic(body, text, stop):
    reason = {"finished": "end_turn", "limit": "max_tokens", "declined": "refusal"}[stop]
    if body.get("tools") and stop == "finished":
        reason = "tool_use"
        content = [{"type": "tool_use", "id": "toolu_1", "name": body["tools"][0]["name"], "input": json.loads(text)}]
    else:
        content = [{"type": "text", "text": text, "citations": None}]
    usage = {"input_tokens": 90, "output_tokens": 12, "cache_read_input_tokens": 10}
    value = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content}
    return Message.model_validate({**value, "stop_reason": reason, "stop_sequence": None, "usage": usage}).to_dict()


def openai(body, text, stop):
    reason = {"finished": "stop", "limit": "length", "declined": "stop"}[stop]
    message = {"role": "assistant", "content": None if stop == "declined" else text, "refusal": text if stop == "declined" else None}
    choice = {"index": 0, "finish_reason": reason, "logprobs": None, "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 12, "total_tokens": 112}
    value = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice], "usage": usage}
    return ChatCompletion.model_validate(value).to_dict()


for line in sys.stdin:
    asked = json.loads(line)
    body, style = asked["body"], asked["style"]
    found = violations(style, body)
    answer = None if found else {"anthropic": anthropic, "openai": openai}[style](body, asked["text"], asked["stop"])
    print(json.dumps({"violations": found, "answer": answer}), flush=True)

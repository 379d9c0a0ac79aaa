"""Words about images, from a tiny model and from a real HTTP server."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from smolrgpt_core.chat_server import ServerSettings
from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.perception.captions import LocalImageTextModel, load_image_text_model


@pytest.fixture
def server(chat_server):
    return chat_server


def test_a_model_answers_in_words_without_special_tokens(checkpoint, picture) -> None:
    model = load_image_text_model(checkpoint("idefics3"))
    assert isinstance(model, LocalImageTextModel)
    answer = model.ask(picture, "what is this", max_new_tokens=12)
    assert answer == model.ask(picture, "what is this", max_new_tokens=12)
    assert answer
    assert not any(mark in answer for mark in ("<image>", "[PAD]", "[SEP]", "user", ":"))
    words = len(model.processor.tokenizer(answer, add_special_tokens=False)["input_ids"])
    assert words <= 12
    shorter = model.ask(picture, "what is this", max_new_tokens=1)
    assert answer.startswith(shorter)


def test_a_model_that_has_no_chat_template_is_refused(checkpoint) -> None:
    with pytest.raises(ValueError, match="must have a chat template"):
        load_image_text_model(checkpoint("idefics3_without_chat"))


def test_a_server_gets_the_very_image_and_prompt(server, picture) -> None:
    model = load_image_text_model(server.url)
    assert model.ask(picture, "What is this?", max_new_tokens=9) == "A red pallet."
    (asked,) = server.asked
    image, text = asked["messages"][0]["content"]
    assert text == {"type": "text", "text": "What is this?"}
    kind, _, data = image["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    sent = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert sent is not None
    np.testing.assert_array_equal(sent[..., ::-1], picture)
    settings = {name: asked[name] for name in ("model", "max_tokens", "temperature", "seed")}
    assert settings == {"model": "vision", "max_tokens": 9, "temperature": 0, "seed": 0}


def test_model_and_key_are_those_of_the_settings(server, picture) -> None:
    settings = ServerSettings(server.url, model="large", api_key="secret")
    load_image_text_model(settings).ask(picture, "What?")
    assert server.asked[0]["model"] == "large"
    assert server.asked[0]["key"] == "Bearer secret"


@pytest.mark.parametrize("models", [(), ("one", "two")])
def test_a_server_with_several_models_needs_the_name_of_one(server, models) -> None:
    server.models = models
    listed = ", ".join(models) or "none"
    with pytest.raises(ValueError, match=f"model must name one of the models .* has: {listed}"):
        load_image_text_model(server.url)


@pytest.mark.parametrize("answer", [None, "", "  "])
def test_no_text_is_an_error_and_no_answer(server, picture, answer) -> None:
    server.answer = answer
    model = load_image_text_model(server.url)
    with pytest.raises(UnansweredError, match="answered with no text") as error:
        model.ask(picture, "What?")
    assert error.value.status == Status.MODEL_ERROR


def test_what_the_server_refuses_is_reported(server, picture) -> None:
    server.status = 400
    model = load_image_text_model(server.url)
    with pytest.raises(UnansweredError, match=r"BadRequestError: .*no images here"):
        model.ask(picture, "What?")


@pytest.mark.parametrize("retries", [0, 1])
def test_an_overloaded_server_is_asked_again_as_configured(server, picture, retries) -> None:
    server.overloaded = 1
    model = load_image_text_model(ServerSettings(server.url, model="vision", retries=retries))
    if retries:
        assert model.ask(picture, "What?") == "A red pallet."
    else:
        with pytest.raises(SpatialError, match="try again"):
            model.ask(picture, "What?")
    assert len(server.asked) == 1 + retries


@pytest.mark.parametrize("fault", ["broken JSON", "dropped", "no completion", "cut short"])
def test_a_reply_that_is_none_is_an_error_of_the_server(server, picture, fault) -> None:
    server.fault = fault
    model = load_image_text_model(ServerSettings(server.url, model="vision", retries=0))
    with pytest.raises(SpatialError, match=f"the server {server.url}") as error:
        model.ask(picture, "What?")
    assert error.value.status == Status.MODEL_ERROR
    assert not isinstance(error.value, UnansweredError)


def test_without_an_image_words_alone_are_asked(server, checkpoint) -> None:
    load_image_text_model(server.url).ask(None, "What is it?")
    assert server.asked[0]["messages"][0]["content"] == [{"type": "text", "text": "What is it?"}]
    model = load_image_text_model(checkpoint("idefics3"))
    assert model.ask(None, "what is this", max_new_tokens=12)


def test_a_server_that_takes_too_long_is_a_timeout(server, picture) -> None:
    settings = ServerSettings(server.url, model="vision", timeout_s=0.2, retries=0)
    server.hold.clear()
    with pytest.raises(SpatialError, match="APITimeoutError"):
        load_image_text_model(settings).ask(picture, "What?")


def test_a_server_that_is_not_there_is_named(picture, chat_server_module) -> None:
    gone = chat_server_module.ChatServer()
    gone.server_close()
    with pytest.raises(SpatialError, match=f"the server {gone.url} did not answer; is it running"):
        load_image_text_model(ServerSettings(gone.url, retries=0))


def test_images_and_prompts_are_checked_before_anything_is_sent(server, picture) -> None:
    model = load_image_text_model(server.url)
    with pytest.raises(SpatialError, match="the prompt must say"):
        model.ask(picture, " ")
    with pytest.raises(SpatialError, match="rgb must be uint8"):
        model.ask(picture[..., :2], "What?")
    assert server.asked == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "localhost:8000"}, "url must begin with http"),
        ({"url": "http://a", "timeout_s": 0}, "timeout_s must be positive"),
        ({"url": "http://a", "retries": -1}, "retries must not be negative"),
    ],
)
def test_settings_are_checked(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        ServerSettings(**settings)

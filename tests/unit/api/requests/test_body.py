"""JSON bodies: excess is refused before it is parsed, and all numbers are finite."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.testclient import TestClient

from riffusion_ext.api.errors import ApiError
from riffusion_ext.api.inputs import decode_base64
from riffusion_ext.api.limits import Limits
from riffusion_ext.api.requests import body, json_route
from riffusion_ext.api.requests.body import MAX_DEPTH, MAX_ITEMS, MAX_NAMES, MAX_VALUES, read_json
from tests.unit.api.conftest import V1, MakeClient, sentence

MAX_BYTES = 1 << 20
LARGE = base64.b64encode(bytes(range(256)) * 8192)


def refused(data: bytes, max_bytes: int = MAX_BYTES, **lengths: int) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        read_json(data, max_bytes=max_bytes, lengths=lengths)
    return caught.value.status, str(caught.value)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**30), 10**30)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(st.text(max_size=10).filter(lambda name: not name.startswith("__")), inner, max_size=5)
        ),
        max_leaves=20,
    ),
    st.booleans(),
)
def test_body_within_the_limits_is_read(value: Any, ascii_: bool) -> None:
    try:
        data = json.dumps(value, ensure_ascii=ascii_).encode()
    except UnicodeEncodeError:
        return
    if b"[" * (MAX_DEPTH + 1) not in data.replace(b" ", b""):
        assert read_json(data, max_bytes=MAX_BYTES) == value


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MAX_BYTES,
        b'{"a":' * (MAX_BYTES // 5),
        b'[{"a":' * 1000,
        b"[" + b"[]," * (MAX_BYTES // 4) + b"0]",
        b"[" + b"{}," * (MAX_BYTES // 4) + b"0]",
        b"[" + b"0," * (MAX_BYTES // 3) + b"0]",
        b"[" + b'"",' * (MAX_BYTES // 4) + b"0]",
        b'{"keyframes":[' + b"{}," * (MAX_BYTES // 4) + b"{}]}",
        b"{" + b",".join(b'"%x":0' % number for number in range(MAX_BYTES // 10)) + b"}",
        b'["' + b'\\\\","' * (MAX_BYTES // 6) + b'"]',
        b'["\\"[[[",' + b"[" * 1000,
        b'"' * MAX_BYTES,
    ],
    ids=lambda data: data[:14].decode(),
)
def test_too_many_or_too_deep_is_refused_before_it_is_parsed(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body.json, "loads", lambda *a, **k: pytest.fail("parsed"))
    status, text = refused(data)
    assert status == 422
    assert "allowed" in text or "deep" in text


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (4 * MAX_BYTES),
        b"[" + b"0," * (2 * MAX_BYTES) + b"0]",
        b"[" + b" " * (4 * MAX_BYTES) + b"0]",
        b'{"image":' + b" " * (4 * MAX_BYTES) + b"0}",
        b'{"image":' + b"1" * (4 * MAX_BYTES) + b"}",
        b'{"image":"' + b"A" * 60000 + b'","' * MAX_BYTES,
        b'["' + b'\\"' * (2 * MAX_BYTES) + b'"]',
        b'{"image":"' + b"\\u0041" * MAX_BYTES + b'"}',
        b'{"image":"' + "é".encode() * (2 * MAX_BYTES) + b'"}',
        b'{"image":"' + b"A" * (4 * MAX_BYTES),
        b'["' + b'","'.join([b"?" * 60_000] * 60) + b'"]',
        b"{" + b",".join(b'"%x":0' % number for number in range(MAX_BYTES // 2)) + b"}",
    ],
    ids=lambda data: data[:14].decode(),
)
def test_base64_file_does_not_raise_the_limit_of_the_rest(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[int] = []
    loads = json.loads
    monkeypatch.setattr(body.json, "loads", lambda text, **k: parsed.append(len(text)) or loads(text, **k))
    assert refused(data)[0] in (413, 422)
    assert sum(parsed) <= MAX_BYTES


@pytest.mark.parametrize(
    "text",
    [
        LARGE,
        b"data:image/png;base64," + LARGE,
        b"data:image\\/png;base64," + LARGE.replace(b"/", b"\\/"),
        b"\\r\\n".join(LARGE[start : start + 76] for start in range(0, len(LARGE), 76)),
        LARGE.replace(b"A", b" A"),
    ],
    ids=["one line", "data URL", "escaped", "lines", "spaces"],
)
def test_base64_file_is_accepted_in_any_notation(text: bytes) -> None:
    value = read_json(
        b'{"a": "\\"x\\"", "image": "' + text + b'", "image2": [{"b": "' + LARGE + b'"}]}', max_bytes=MAX_BYTES
    )
    assert value["a"] == '"x"'
    assert value["image2"] == [{"b": LARGE.decode()}]
    for image in (value["image"], json.loads(b'"' + text + b'"')):
        assert decode_base64(image, "image") == bytes(range(256)) * 8192


@pytest.mark.parametrize(
    "text", ["QUJD" * (1 << 19) + "QQ==", "QUJD" * (1 << 18) + "QQ==" + "QUJD" * 10, "QUJ", "é", ""]
)
def test_base64_decoding_in_pieces_is_as_strict_as_the_standard_library(text: str) -> None:
    try:
        expected: bytes | None = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        expected = None
    if expected:
        assert decode_base64(text, "image") == expected
        return
    with pytest.raises(ApiError):
        decode_base64(text, "image")


@pytest.mark.parametrize(
    "number",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e400",
        "1" * 41,
        "1" * 5000,
        "-" + "9" * 100,
        "0." + "1" * 500,
        "1" * MAX_BYTES,
    ],
)
def test_non_finite_and_overlong_numbers_are_refused(number: str) -> None:
    assert refused(b'{"a":[' + number.encode()[: MAX_BYTES - 10] + b"]}")[0] == 422


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"a":1}x', b"\x00[\x00]", b'"\n"', b"nul", b"\xef\xbb"])
def test_invalid_json_is_refused(data: bytes) -> None:
    status, text = refused(data)
    assert status == 422
    assert "JSON" in text
    assert "\n" not in text


def test_lists_and_objects_are_limited_in_size_and_depth() -> None:
    assert "at most 3 keyframes are allowed here, got 4" in refused(b'{"keyframes":[1,2,3,4]}', keyframes=3)[1]
    assert len(
        read_json(b'{"keyframes":[%s0]}' % (b"0," * 1999), max_bytes=MAX_BYTES, lengths={"keyframes": 2000})[
            "keyframes"
        ]
    )
    assert f"at most {MAX_ITEMS}" in refused(b'{"a":[%s0]}' % (b"0," * MAX_ITEMS))[1]
    assert str(MAX_NAMES) in refused(json.dumps({str(number): 0 for number in range(MAX_NAMES + 1)}).encode())[1]
    assert read_json(b'{"a": 1, "a": 2}', max_bytes=MAX_BYTES) == {"a": 2}
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, max_bytes=MAX_BYTES)
    assert "deep" in refused(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))[1]
    assert "__class__" in refused(b'{"__class__": 1}')[1]
    assert (
        read_json(json.dumps("[,{:" * MAX_VALUES).encode(), max_bytes=MAX_BYTES) == "[,{:" * MAX_VALUES
    )  # a text may hold anything


def test_only_the_first_of_many_invalid_items_is_checked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[type] = []
    model = json_route._validate
    monkeypatch.setattr(json_route, "_validate", lambda kind, *more: checked.append(kind) or model(kind, *more))
    for path, items in (("songs", "keyframes"), ("riffs", "keyframes"), ("paintings", "requests")):
        wrong = sentence(client.post(f"{V1}/{path}", json={items: [{}] * 60}), 422)
        assert wrong.startswith(f"{items}.0.prompt")
        assert len(checked) == 1
        checked.clear()
    many = {"keyframes": [{"prompt": "a"}] * 1999 + [{"prompt": 1, "b": 2}]}
    assert sentence(client.post(f"{V1}/songs", json=many), 422).startswith("keyframes.1999.")


def test_bodies_are_parsed_in_a_worker_thread(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    where: list[str] = []
    for module, name in ((body.json, "loads"), (json_route, "_validate")):
        own = getattr(module, name)

        def noted(*args: Any, own: Any = own, **more: Any) -> Any:
            where.append(threading.current_thread().name)
            return own(*args, **more)

        monkeypatch.setattr(module, name, noted)
    reply = client.post(f"{V1}/loops", json={"prompt": "a", "bars": 1e9})
    monkeypatch.undo()
    assert "bars" in sentence(reply, 422)
    assert len(where) == 2
    assert all(name.startswith("riffusion-parse") for name in where), where


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", '"nan"', '"inf"', '"-Infinity"', '"1e999"'])
@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("audio-to-images", '{"clip": "x", "start": %s}'),
        ("audio-to-images", '{"clip": "x", "duration": %s}'),
        ("loops", '{"prompt": "x", "bars": %s}'),
        ("songs", '{"keyframes": [{"prompt": "x", "seconds": %s}]}'),
        ("riffs", '{"clip": "x", "prompt": "x", "duration": %s}'),
        ("datasets", '{"clips": ["x"], "silence_db": %s}'),
        ("paintings", '{"requests": [{"prompts": ["a", "b"], "alpha": %s}]}'),
    ],
)
def test_non_finite_numbers_in_requests_are_refused(client: TestClient, path: str, template: str, value: str) -> None:
    assert client.service.jobs.all() == []  # type: ignore[attr-defined]
    headers = {"Content-Type": "application/json"}
    sentence(client.post(f"{V1}/{path}", content=template % value, headers=headers), 422)


@pytest.mark.parametrize(
    "preset", ["sample_rate=nan", "max_frequency=inf", "step_size_ms=1e999", "num_griffin_lim_iters=nan"]
)
def test_non_finite_numbers_in_presets_and_curves_are_refused(client: TestClient, preset: str) -> None:
    from tests.unit.api.conftest import sound_bytes, upload

    clip = upload(client, "clips", sound_bytes(0.5))["id"]
    sentence(client.post(f"{V1}/audio-to-images", json={"clip": clip, "preset": preset}), 422)
    for curve in ("nan", "0:00 nan", "0:00 0.2, 0:01 inf"):
        sentence(client.post(f"{V1}/riffs", json={"clip": clip, "prompt": "a", "denoise": curve}), 422)


class Inner(BaseModel):
    numbers: list[float]


class Outer(BaseModel):
    inner: Inner


def test_model_without_ranges_refuses_non_finite_numbers() -> None:
    assert json_route.read_model(Outer, b'{"inner": {"numbers": [1, 2.5]}}', Limits())
    with pytest.raises(ApiError, match=r"inner.numbers.1: numbers must be finite, got nan"):
        json_route.read_model(Outer, b'{"inner": {"numbers": [1, "nan"]}}', Limits())


@pytest.mark.parametrize("path", ["/run_inference", "/run_vst"])
def test_compatibility_routes_check_bodies_in_the_same_way(make_client: MakeClient, path: str) -> None:
    client = make_client()
    for data in (b"[" * 100_000, b'{"a":[' + b"{}," * 100_000 + b"0]}", b'{"alpha": NaN}', b'{"alpha": 1e999}', b"[]"):
        assert client.post(path, content=data).status_code == 400

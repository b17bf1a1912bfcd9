"""Strings from conf and environment become a typed configuration, or a clear error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tumorseg.config import AppConfig
from tumorseg.errors import InputError, NotFoundError
from tumorseg.registry import DEFAULT_MODEL, FOUNDATION, INTERACTIVE, MODELS


def test_defaults_listen_on_this_computer_only(tmp_path: Path) -> None:
    config = AppConfig.parse(tmp_path, {}, environ={})
    assert (config.host, config.port) == ("127.0.0.1", 8000)
    assert config.models[0] == DEFAULT_MODEL
    assert set(config.models) == set(MODELS)
    assert config.studies == str(tmp_path)
    assert not config.is_remote


def test_conf_goes_before_the_environment(tmp_path: Path) -> None:
    environ = {"TUMORSEG_PORT": "9000", "TUMORSEG_PREWARM": "off", "TUMORSEG_UNRELATED": "x"}
    config = AppConfig.parse(tmp_path, {"port": "9001"}, environ)
    assert config.port == 9001
    assert config.prewarm is False


def test_the_first_of_the_named_models_is_the_default(tmp_path: Path) -> None:
    conf = {"models": "mine, resunet", "extra_models": "mine=package.module:build", "server_mode": "true"}
    config = AppConfig.parse(tmp_path, conf, {})
    assert config.default_model == "mine"
    assert config.models == ("mine", "resunet")
    assert config.known_models["mine"] == "package.module:build"


@pytest.mark.parametrize("said", ["clicks_any,scribbles", ["clicks_any,scribbles"], ["clicks_any", "scribbles"]])
def test_names_may_come_in_one_option_or_in_several(tmp_path: Path, said: Any) -> None:
    assert AppConfig.parse(tmp_path, {"interactive": said}, {}).interactive == ("clicks_any", "scribbles")


def test_people_and_proxies(tmp_path: Path) -> None:
    conf = {"oidc_roles": "a=b=viewer, doctors=admin", "behind_proxy": "10.0.0.1,10.1.0.0/16,::1", "auth": "required"}
    config = AppConfig.parse(tmp_path, conf, {"TUMORSEG_STATE": str(tmp_path / "state")})
    assert config.oidc_roles == {"a=b": "viewer", "doctors": "admin"}
    assert config.behind_proxy == ("10.0.0.1", "10.1.0.0/16", "::1")
    assert config.state == tmp_path / "state"


def test_an_address_is_remote() -> None:
    config = AppConfig.parse("http://127.0.0.1:8042/dicom-web/", {}, {})
    assert config.is_remote
    assert config.studies == "http://127.0.0.1:8042/dicom-web"


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"modles": "resunet"}, "unknown setting modles"),
        ({"port": "eighty"}, "port"),
        ({"port": "70000"}, "between 0 and 65535"),
        ({"prewarm": "perhaps"}, "true or false"),
        ({"extra_models": "mine"}, "name=module:factory"),
        ({"image_cache_mb": "-1"}, "negative"),
        ({"device": " "}, "device"),
        ({"auth": "perhaps"}, "auto, required, off"),
        ({"signin_hours": "0"}, "signin_hours"),
        ({"tls_cert": "server.pem"}, "together"),
        ({"oidc_issuer": "https://sso.example.org"}, "together"),
        ({"oidc_roles": "doctors"}, "value=role"),
        ({"behind_proxy": "*"}, "address or a network"),
        ({"behind_proxy": "proxy.example.org"}, "address or a network"),
        ({"behind_proxy": "10.0.0.1, 0.0.0.0/0"}, "everybody"),
        ({"label_classes": "tumor,tumor=2"}, "every class once"),
        ({"label_classes": "tumor=one"}, "label_classes"),
        ({"label_classes": "tumor=1,cyst=1"}, "value of its own"),
        ({"label_classes": "background=0"}, "1..65535"),
        ({"lease_minutes": "0"}, "lease_minutes"),
        ({"interactive_cache_mb": "-1"}, "interactive_cache_mb"),
        ({"interactive_minutes": "0"}, "interactive_minutes"),
        ({"extra_interactive": "resunet=x.y:build"}, "a model and an interactive model"),
        ({"train_after": "-1"}, "train_after"),
        ({"train_nice": "20"}, "train_nice"),
        ({"train_minutes": "inf"}, "train_minutes"),
        ({"train_gpu_fraction": "1.5"}, "train_gpu_fraction"),
        ({"train_margin": "nan"}, "train_margin"),
    ],
)
def test_what_cannot_be_read_is_named(conf: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        AppConfig.parse(tmp_path, conf, {})


def test_the_classes_of_labels_with_and_without_values(tmp_path: Path) -> None:
    config = AppConfig.parse(tmp_path, {"label_classes": "tumor=1, oedema"}, {})
    assert dict(config.label_classes) == {"tumor": 1, "oedema": None}
    assert not AppConfig.parse(tmp_path, {}, {}).label_classes


def test_which_interactive_models_are_served(tmp_path: Path) -> None:
    own = {"extra_interactive": "mine=package.module:build"}
    assert set(AppConfig.parse(tmp_path, own, {}).interactive) == {*INTERACTIVE, "mine"} - {*FOUNDATION}
    assert AppConfig.parse(tmp_path, {**own, "interactive": "mine"}, {}).interactive == ("mine",)
    assert AppConfig.parse(tmp_path, {**own, "interactive": "none"}, {}).interactive == ()
    with pytest.raises(NotFoundError, match=r"unknown interactive model clickz; known: .*mine"):
        AppConfig.parse(tmp_path, {**own, "interactive": "clickz"}, {})


def test_a_foundation_model_is_served_where_its_weights_are_named_and_nowhere_else(tmp_path: Path) -> None:
    for name in FOUNDATION:
        config = AppConfig.parse(tmp_path, {}, {f"TUMORSEG_{name.upper()}_WEIGHTS": str(tmp_path / "weights")})
        assert set(config.interactive) == ({*INTERACTIVE} - {*FOUNDATION}) | {name}
        assert config.interactive_weights == {name: tmp_path / "weights"}


def test_unknown_models_and_missing_studies(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"known: .*resunet"):
        AppConfig.parse(tmp_path, {"models": "unet9"}, {})
    with pytest.raises(InputError, match="studies"):
        AppConfig.parse("", {}, {})

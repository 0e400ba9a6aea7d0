import hashlib
from pathlib import Path

import pytest

from foldserve_server.context.rights import Rights, require_admin, require_model, set_rights
from foldserve_server.errors import CannotStart, Forbidden, Unauthenticated
from foldserve_server.security.tokens import read_tokens

ALICE, BOB = (hashlib.sha256(name.encode()).hexdigest() for name in ("alice's", "bob's"))
FILE = f"""
[[token]]
name = "alice"
sha256 = "{ALICE}"
models = ["flowers", "digits"]

[[token]]
name = "bob"
sha256 = "{BOB.upper()}"
models = ["*"]
admin = true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text(FILE)
    return path


def test_a_token_has_a_holder_and_rights(file: Path) -> None:
    authenticator = read_tokens(file)
    alice = authenticator.authenticate("Bearer alice's")
    bob = authenticator.authenticate("bearer  bob's ")
    assert alice == Rights("alice", frozenset({"flowers", "digits"}), admin=False)
    assert alice.allows("digits") and not alice.allows("faces")
    assert bob == Rights("bob", None, admin=True) and bob.allows("faces")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer nobody's", "Basic alice's", f"Bearer {ALICE}", "alice's"]
)
def test_a_header_without_a_valid_token_is_refused(file: Path, header: str | None) -> None:
    with pytest.raises(Unauthenticated, match="Bearer TOKEN"):
        read_tokens(file).authenticate(header)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((ALICE, "alice's"), "sha256 must be 64 hexadecimal digits"),
        ((ALICE, BOB), "two tokens have the same sha256"),
        (('models = ["*"]', ""), "a token has name, sha256, models and perhaps admin"),
        (('models = ["*"]', "models = []"), "models must be a list of names"),
        (("admin = true", 'admin = "yes"'), "admin true or false"),
        (("admin = true", "root = true"), "a token has name, sha256, models and perhaps admin"),
        (("[[token]]", "[[tokens]]"), r"expected \[\[token\]\] tables"),
        ((FILE, ""), r"expected \[\[token\]\] tables"),
        ((FILE, "nonsense"), "cannot be read"),
    ],
)
def test_an_invalid_file_is_refused(file: Path, change: tuple[str, str], message: str) -> None:
    file.write_text(FILE.replace(*change))
    with pytest.raises(CannotStart, match=message) as caught:
        read_tokens(file)
    assert "alice's" not in str(caught.value)


def test_work_of_the_server_itself_has_all_rights() -> None:
    require_model("anything")
    require_admin()


def test_rights_are_those_of_the_current_caller() -> None:
    import contextvars

    def answer() -> None:
        set_rights(Rights("alice", frozenset({"digits"})))
        require_model("digits")
        with pytest.raises(Forbidden, match="no right to model 'faces'"):
            require_model("faces")
        with pytest.raises(Forbidden, match="no right to change what is served"):
            require_admin()

    contextvars.copy_context().run(answer)
    require_model("faces")

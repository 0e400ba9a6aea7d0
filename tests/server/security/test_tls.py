"""Messages about keys, certificates and authorities that cannot be used."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from foldserve_server.security.tls import Tls
from tests.certificates import Authority

AUTHORITY = Authority()
SERVER, OTHER = AUTHORITY.identity("server"), AUTHORITY.identity("other")
GOOD = Tls(SERVER.key, SERVER.certificate, AUTHORITY.certificate, client_verify=True)
ENCRYPTED = load_pem_private_key(SERVER.key, None).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


def test_a_key_its_certificate_and_an_authority_can_be_used() -> None:
    GOOD.context()


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (replace(GOOD, key=OTHER.key), r"^server_key and server_cert must be .*: KEY_VALUES_MISMATCH$"),
        (replace(GOOD, certificate=b"nonsense"), "^server_key and server_cert must be a private key and its cert"),
        (replace(GOOD, certificate=SERVER.certificate.replace(b"BEGIN C", b"BEGIN K")), "^server_key and server_cert"),
        (replace(GOOD, key=ENCRYPTED), "^server_key is encrypted; give a key without a password"),
        (replace(GOOD, authority=b"nonsense"), "^custom_ca must be certificates, as PEM: "),
        (replace(GOOD, authority="Zertifikät".encode()), "^custom_ca must be certificates, as PEM: "),
    ],
)
def test_an_unusable_part_is_named(tls: Tls, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tls.context()

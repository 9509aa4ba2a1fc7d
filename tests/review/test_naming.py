"""Secrets that only a name gives away are found, and what such words mean otherwise is not."""

from __future__ import annotations

import pytest

from nbproof.review.checks.naming import is_drawn, named

# Put together here, so that no file of ours holds what looks like a secret.
PASSWORD = "kQ7#" + "vTz2LpX"
KEY = "9fQ2kLmZx7Vb3RtY" + "8sWd4HgN6jPc1TqE"


@pytest.mark.parametrize(
    "source",
    [
        f"client.password = '{PASSWORD}'",
        f"os.environ['DB_PASSWORD'] = '{PASSWORD}'",
        f"os.getenv('DB_PASSWORD', '{PASSWORD}')",
        f"def load(user, password='{PASSWORD}'): ...",
        f"[('user', 'ana'), ('password', '{PASSWORD}')]",
        f"requests.get(url, auth=('ana', '{PASSWORD}'))",
        f"salt, pepper = 'x', '{KEY}'",
        f"token = ('{KEY[:16]}'\n  '{KEY[16:]}')",
        f"config = '''\n[db]\npassword = {PASSWORD}\n'''",
        f"%env API_TOKEN={KEY}",
        f"!mysql --password={PASSWORD} risk",
        f"!curl -u ana:{KEY} https://x",
        f"%%bash\nexport SECRET_TOKEN='{KEY}'",
        f"# password: {PASSWORD}",
        f"headers = {{'Authorization': 'Bearer {KEY}'}}",
    ],
)
def test_code_that_names_a_secret(source: str) -> None:
    """Whatever the layout: a name, a pair, a header, an option, a line of the shell."""
    assert list(named(source, is_code=True)) != []


@pytest.mark.parametrize(
    "source",
    [
        "password = getpass.getpass()",
        "password = os.environ['DB_PASSWORD']",
        "password = '<your password>'",
        "token = 'pad_token_2'",
        "tokenizer = Tokenizer(token_pattern=r'(?u)\\b\\w\\w+\\b')",
        "df['key'] = 'customer_id_2024'",
        "plt.plot(x, y, key='lower right 2')",
        "api_key = 'YOUR_API_KEY_1234567'",
        "secret_santa = 'Grandma Anna 1958'",
        "columns = ['password', 'token', 'key']",
        "for token in doc: print(token.text, token.lemma_)",
        "sort_key = 'a1b2c3d4e5f6a7b8'",
        "keys = {'key': 'value1', 'token': 'tok2'}",
        "hash = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'",
    ],
)
def test_code_that_speaks_of_something_else(source: str) -> None:
    """References, placeholders, columns, tokens of a language: nothing of it was drawn."""
    assert list(named(source, is_code=True)) == []


@pytest.mark.parametrize("text", [f"password: {PASSWORD}", f'"api_key": "{KEY}"', f"DB_PASSWORD={PASSWORD}"])
def test_texts_that_say_a_secret(text: str) -> None:
    """What was printed has no syntax; a name and its value stand side by side."""
    assert [value for _, value in named(text, is_code=False)] == [text.rpartition(" ")[2].strip('"').split("=")[-1]]


@pytest.mark.parametrize("text", ["token count: 123456", "key: value", "secret: yes", "password: ********", "x" * 5000])
def test_texts_that_say_none(text: str) -> None:
    """Counts, words and stars are no secrets."""
    assert list(named(text, is_code=False)) == []


def test_what_was_drawn() -> None:
    """Words, dates and paths were written; letters and digits among one another were drawn."""
    assert [is_drawn(value, 6) for value in (PASSWORD, "monday", "2024-01-31", "~/key.pem", "hello_world_2")] == [
        True, False, False, False, False,
    ]  # fmt: skip

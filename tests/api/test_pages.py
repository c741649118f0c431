import base64
import hashlib
import re

from tests.fixtures import client, stack


def test_the_landing_page_s_style_is_the_one_that_the_policy_allows(system: stack.System) -> None:
    api = system.start("api")

    hostile = client.call(api.url, "GET", "/", headers={"Host": 'evil"><script>'})
    answer = client.call(api.url, "GET", "/")

    assert hostile.status == 400
    assert answer.status == 200
    page = answer.body.decode()
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert api.url in page

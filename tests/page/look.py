"""Looks at the status page in a real browser: no console errors, no foreign requests, live, 500 rules,
hostile text shown as text; and at `lapwing top` on a terminal. Takes the pictures of docs/.

    tests/page/run [FOLDER FOR PICTURES]
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import datetime
import random

from playwright.sync_api import sync_playwright

import screen

LAPWING, CHROMIUM, PICTURES = sys.argv[1:4]
HOSTILE = '<img src=x onerror="document.title=\'owned\'"> \x1b[31m<!channel>'
UPSTREAMS = ["10.2.0.7:8080", "10.2.0.8:8080"]


def rules():
    yield "version: 1\nrules:"
    yield """  - name: bad-gateways
    summary: '{{ count }} bad gateways in {{ timeframe }} on {{ host }}'
    severity: critical
    match: {contains: ['" 502 ']}
    type: frequency
    num_events: 10
    timeframe: 1m
    group_by: [upstream]"""
    yield """  - name: payments-fail
    summary: '{{ count }} payments failed at {{ provider }}'
    severity: warning
    match: {contains: ['payment failed'], regex: ['provider=(?P<provider>\\S+)']}
    type: frequency
    num_events: 3
    timeframe: 1m
    group_by: [provider]"""
    yield "  - {name: disk-nearly-full, match: {contains: ['disk at 9']}, type: any, severity: info}"
    for n in range(497):
        yield (f"  - {{name: service-{n:03}-errors, match: {{contains: ['svc{n:03} error']}}, "
               f"type: frequency, num_events: 500, timeframe: 5m}}")


def feed(folder, stop):
    with open(folder / "access.log", "a", buffering=1) as access, open(folder / "shop.log", "a", buffering=1) as shop:
        while not stop.is_set():
            at = datetime.datetime.now(datetime.timezone.utc).strftime("%d/%b/%Y:%H:%M:%S +0000")
            for _ in range(random.randint(1, 5)):
                status = random.choice([200, 200, 502])
                access.write(f'203.0.113.{random.randint(1, 99)} - - [{at}] "GET /cart HTTP/1.1" {status} 157 "-" '
                             f'"curl/8" upstream={random.choice(UPSTREAMS)}\n')
            if random.random() < 0.4:
                shop.write(f'level=error payment failed provider={random.choice(["acme", "globex"])} {HOSTILE}\n')
            if random.random() < 0.05:
                shop.write("kernel: disk at 91%\n")
            for _ in range(random.randint(0, 8)):
                shop.write(f"svc{int(random.paretovariate(0.6)) % 60:03} error something\n")
            stop.wait(0.3)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lapwing-page-"))
    (folder / "rules.yaml").write_text("\n".join(rules()) + "\n")
    (folder / "lapwing.yaml").write_text("""host: web-1.example.com
state_dir: state
control: control.sock
http: {listen: '127.0.0.1:0'}
rules: [rules.yaml]
inputs:
  nginx-access: {type: file, path: [access.log], format: nginx}
  shop: {type: file, path: [shop.log], format: plain}
outputs:
  archive: {type: file, path: alerts.jsonl}
  pager: {type: webhook, url: 'http://127.0.0.1:9/x'}
""")
    agent = subprocess.Popen([LAPWING, "run", "-c", "lapwing.yaml"], cwd=folder, stderr=subprocess.PIPE, text=True)
    stop = threading.Event()
    try:
        address = None
        for line in agent.stderr:
            if "the status page is at " in line:
                address = line.split("the status page is at ")[1].strip()
            if "ready" in line and address:
                break
        threading.Thread(target=lambda: agent.stderr.read(), daemon=True).start()
        threading.Thread(target=feed, args=(folder, stop), daemon=True).start()
        look(address)
        look_at_top(folder)
    finally:
        stop.set()
        agent.terminate()
        agent.wait(10)
    print("tests/page: all is well")


def look(address):
    complaints, foreign = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        first = browser.new_page()
        watch(first, address, complaints, foreign)
        first.goto(address)
        first.wait_for_selector("#firing .card.critical", timeout=60_000)
        time.sleep(float(sys.argv[4]) if len(sys.argv) > 4 else 65)  # some steps of the graphs
        first.close()
        for name, scheme, width, height in [("light", "light", 1180, 900), ("dark", "dark", 1180, 900), ("phone", "dark", 390, 844)]:
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
            watch(page, address, complaints, foreign)
            page.goto(address)
            page.wait_for_selector("#firing .card.critical")
            page.wait_for_selector(".rule svg path")
            before = page.inner_text("#rules")
            page.wait_for_function("before => document.querySelector('#rules').innerText !== before", arg=before)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name}: it is wider than its screen"
            assert page.inner_text("#n-rules") == "500"
            page.screenshot(path=f"{PICTURES}/page-{name}.png")
            page.click("#recent details >> nth=0")
            # What a person has opened stays open over updates.
            page.wait_for_timeout(4500)
            assert page.locator("#recent details[open]").count() >= 1, "it has closed by itself"
            assert page.title() != "owned" and page.locator("main img").count() == 0
            page.fill("#filter", "payments")
            assert page.locator(".rule").count() == 1
            page.close()
        browser.close()
    assert not complaints, complaints
    assert not foreign, foreign


def look_at_top(folder):
    shown = screen.show([LAPWING, "top", "-c", "lapwing.yaml"], folder, 8)
    text = "\n".join(shown.display)
    for part in ["web-1.example.com", "bad-gateways", "10.2.0.7:8080", "payments-fail", "pager", "nginx-access"]:
        assert part in text, f"{part} is not on the screen:\n{text}"
    assert "\x1b" not in text
    screen.draw(shown, f"{PICTURES}/top.png")


def watch(page, address, complaints, foreign):
    page.on("console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(address) else None)


main()

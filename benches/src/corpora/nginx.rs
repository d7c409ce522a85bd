//! An nginx access log in the combined format, as a shop with some crawlers has it.

use std::io::Write;

use crate::choices::Choices;

const AGENTS: [&str; 20] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36 Edg/129.0.2792.52",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; SM-A546B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "curl/8.5.0",
    "python-requests/2.32.3",
    "Go-http-client/2.0",
    "kube-probe/1.30",
    "okhttp/4.12.0",
    "Blackbox Exporter/0.25.0",
    "-",
];
const SECTIONS: [&str; 16] = [
    "garden", "kitchen", "lamps", "boots", "bicycles", "paper", "tools", "toys", "chairs",
    "teapots", "carpets", "kettles", "ropes", "tents", "lutes", "globes",
];
const FILES: [&str; 10] = [
    "/static/app.4f1c9b.js",
    "/static/style.91ac03.css",
    "/favicon.ico",
    "/robots.txt",
    "/static/fonts/inter.woff2",
    "/images/logo.svg",
    "/healthz",
    "/sitemap.xml",
    "/feed.atom",
    "/static/vendor.77b0de.js",
];

/// A stretch of lines in which every third answer is a 502.
const BURST_LINES: u32 = 400;

/// Appends one line with its LF. `number`: lines before it, so that time goes on.
pub(super) fn line(number: u32, burst: &mut u32, choices: &mut Choices, log: &mut Vec<u8>) {
    if choices.once_in(60_000) {
        *burst = BURST_LINES;
    }
    *burst = burst.saturating_sub(1);
    let status = match choices.below(10_000) {
        0 => 500,
        1 => 503,
        2 => 504,
        3..=24 => 502,
        25..=240 => 404,
        241..=700 => 304,
        701..=900 => 301,
        _ if *burst > 0 && choices.once_in(3) => 502,
        _ => 200,
    };
    let [a, b, c, d] = [223, 256, 256, 256].map(|bound| choices.below(bound));
    // Some 600 requests a second.
    let seconds = number / 600;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    write!(
        log,
        "{}.{b}.{c}.{d} - - [21/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"",
        a + 1
    )
    .expect("memory takes all");
    let section = choices.one_of(&SECTIONS);
    request(section, choices, log);
    let bytes = choices.below(60_000);
    let agent = choices.one_of(&AGENTS);
    if choices.once_in(3) {
        write!(log, " HTTP/1.1\" {status} {bytes} \"-\" \"{agent}\"")
    } else {
        write!(
            log,
            " HTTP/2.0\" {status} {bytes} \"https://shop.example.com/{section}/\" \"{agent}\""
        )
    }
    .expect("memory takes all");
    log.push(b'\n');
}

fn request(section: &str, choices: &mut Choices, log: &mut Vec<u8>) {
    let (kind, id, page) = (choices.below(10), choices.below(100_000), choices.below(40));
    match kind {
        0..=2 => write!(log, "GET {}", choices.one_of(&FILES)),
        3 => write!(
            log,
            "GET /search?q={section}+{id}&page={page}&sort=price_asc"
        ),
        4 => write!(log, "POST /api/v2/basket/items?session={id:x}{page:x}"),
        5 => write!(log, "GET /images/{section}/{id}_large.webp?w=1280&q={page}"),
        6 => write!(
            log,
            "GET /blog/2026/{:02}/how-to-choose-{section}",
            page % 12 + 1
        ),
        7 => write!(
            log,
            "GET /{section}?page={page}&utm_source=newsletter&utm_campaign=w{page}"
        ),
        _ => write!(
            log,
            "GET /{section}/{id}-oak-and-brass-{section}?ref={page}"
        ),
    }
    .expect("memory takes all");
}

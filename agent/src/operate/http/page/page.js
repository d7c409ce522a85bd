// Draws what /api/live tells. Text from logs only ever becomes text: nothing here writes HTML.
'use strict';

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
let last = null;
const open = new Set(); // details that a person has opened stay open

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

function ago(text) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(text)) / 1000));
  if (Number.isNaN(seconds)) return '';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function size(bytes) {
  let unit = 0, value = bytes;
  while (value >= 1024 && unit < 4) { value /= 1024; unit++; }
  return `${unit ? value.toFixed(1) : value} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

const many = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

function graph(steps, label) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 120 30');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  const top = Math.max(1, ...steps);
  let d = '';
  steps.forEach((hits, n) => {
    const x = 120 - steps.length + n, height = hits ? Math.max(1, 30 * hits / top) : 0.3;
    d += `M${x} 30v${-height.toFixed(2)}h.8v${height.toFixed(2)}z`;
  });
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', d);
  svg.append(path);
  return svg;
}

function group(alert) {
  return Object.entries(alert.group).map(([key, value]) => `${key} ${value}`).join(' · ');
}

function details(key, summary, ...children) {
  const node = el('details', '', el('summary', '', summary), ...children);
  node.open = open.has(key);
  node.addEventListener('toggle', () => node.open ? open.add(key) : open.delete(key));
  return node;
}

function alertCard(alert, isFiring) {
  const kind = alert.status === 'resolved' ? 'resolved' : alert.severity || '';
  const card = el('article', `card ${kind}`);
  const when = isFiring ? `since ${ago(alert.started_at)}` : `${ago(alert.sent_at)} ago`;
  const time = el('time', 'when', when);
  time.dateTime = isFiring ? alert.started_at : alert.sent_at;
  time.title = time.dateTime;
  card.append(el('div', 'top',
    el('span', `tag ${kind}`, isFiring ? alert.severity || 'firing' : alert.reason || alert.status),
    el('b', '', alert.summary || alert.rule), time));
  const outcomes = Object.entries(alert.deliveries).map(([name, outcome]) => `${name}: ${outcome}`);
  card.append(el('div', 'more',
    [alert.rule, group(alert), many(alert.count, 'hit'), ...outcomes].filter(Boolean).join(' · ')));
  if (alert.samples.length) {
    const key = `${isFiring ? 'f' : 'r'}${alert.id}/${alert.sent_at}`;
    card.append(details(key, many(alert.samples.length, 'line'), el('pre', '', alert.samples.join('\n'))));
  }
  return card;
}

function drawRules(told) {
  const wanted = $('filter').value.toLowerCase();
  const rules = Object.entries(told.status.rules).filter(([name]) => name.includes(wanted));
  const sum = name => (told.rates[name] || []).reduce((a, b) => a + b, 0);
  const busy = rules.filter(([, rule]) => rule.hits > 0 || rule.firing > 0);
  busy.sort(([a, x], [b, y]) => y.firing - x.firing || sum(b) - sum(a) || a.localeCompare(b));
  const grid = el('div', 'grid');
  for (const [name, rule] of busy) {
    const title = el('span', 'name', name);
    title.title = name;
    const steps = told.rates[name] || [];
    const label = `hits of ${name}, the last hour`;
    const facts = [many(rule.hits, 'hit'), many(rule.alerts, 'alert')];
    if (rule.firing) facts.push(`${rule.firing} firing`);
    if (rule.mode !== 'live') facts.push(rule.mode);
    grid.append(el('div', rule.firing ? 'rule firing' : 'rule',
      title, graph(steps, label), el('span', 'more', facts.join(' · '))));
  }
  const quiet = rules.filter(([, rule]) => !rule.hits && !rule.firing).map(([name]) => name);
  const list = el('ul', 'quiet', ...quiet.map(name => el('li', '', name)));
  $('rules').replaceChildren(grid, quiet.length
    ? details('quiet', `${many(quiet.length, 'rule')} without a hit`, list) : '');
  $('n-rules').textContent = Object.keys(told.status.rules).length;
}

function fact(name, isBad, state, more) {
  return el('div', `card ${isBad ? 'critical' : 'resolved'}`,
    el('div', 'top', el('b', '', name), el('span', `tag ${isBad ? 'bad' : 'good'}`, state)),
    el('div', 'more', more.filter(Boolean).join(' · ')));
}

function drawInputs(status) {
  const cards = Object.entries(status.inputs).map(([name, it]) => {
    const lost = it.losses.reduce((sum, loss) => sum + loss.times, 0);
    const unreadable = it.unreadable_total - it.passed_over;
    const isBad = unreadable > 0 || lost > 0;
    const state = unreadable ? `${unreadable} unreadable` : lost ? `${lost} times lost` : 'reads';
    const more = [it.type, it.type === 'file' && many(it.files, 'file'), many(it.lines, 'line'), `${size(it.bytes)} read`,
      it.lag_bytes > 0 && `${size(it.lag_bytes)} behind`, it.skewed > 0 && `${it.skewed} from the future`,
      ...it.unreadable.slice(0, 3).map(file => `${file.path}: ${file.error}`)];
    return fact(name, isBad, state, more);
  });
  $('inputs').replaceChildren(...cards);
}

function drawOutputs(status) {
  const cards = Object.entries(status.outputs).map(([name, it]) => {
    const isBad = Boolean(it.last_error) || it.dropped > 0;
    return fact(name, isBad, it.last_error ? 'fails' : 'delivers', [it.type, `${it.delivered} delivered`,
      it.waiting > 0 && `${it.waiting} waiting`, it.rejected > 0 && `${it.rejected} rejected`,
      it.expired > 0 && `${it.expired} too old`, it.dropped > 0 && `${it.dropped} dropped`,
      it.delivered_at && `last ${ago(it.delivered_at)} ago`, it.last_error]);
  });
  $('outputs').replaceChildren(...cards);
}

function draw(told) {
  last = told;
  const { status, firing } = told;
  $('host').textContent = status.host;
  document.title = firing.length ? `(${firing.length}) ${status.host} · lapwing` : `${status.host} · lapwing`;
  const wrong = [!status.ready && 'not ready yet', status.engine !== 'ok' && status.engine,
    status.state.error && `the state cannot be saved: ${status.state.error}`,
    status.canary.lost && !status.canary.seconds && 'its own lines do not come through',
    status.last_reload && !status.last_reload.ok && `not reloaded: ${status.last_reload.problems.join('; ')}`].filter(Boolean);
  say(wrong.length ? wrong.join('; ') : firing.length ? `${firing.length} firing` : 'all quiet', wrong.length > 0);
  $('firing').replaceChildren(...(firing.length ? firing.map(alert => alertCard(alert, true))
    : [el('div', 'card calm', 'Nothing is firing.')]));
  drawRules(told);
  $('recent').replaceChildren(...(told.recent.length ? told.recent.map(alert => alertCard(alert, false))
    : [el('div', 'more', 'No message yet.')]));
  drawInputs(status);
  drawOutputs(status);
  $('foot').textContent = `lapwing ${status.version} · up ${Math.floor(status.uptime_s / 60)} min · state ${size(status.state.bytes)}`
    + (status.canary.seconds ? ` · disk to alert ${(status.canary.seconds * 1000).toFixed(0)} ms` : '');
}

function say(text, isBad) {
  const line = $('line');
  line.className = isBad ? 'bad' : '';
  if (line.textContent !== text) line.textContent = text;
}

$('filter').addEventListener('input', () => last && drawRules(last));
const live = new EventSource('/api/live');
live.onmessage = event => draw(JSON.parse(event.data));
live.onerror = () => say('the agent does not answer; trying again', true);

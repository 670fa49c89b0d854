// The live console: one WebSocket through a real gateway, and what happened on it. The token goes where a browser can put
// one: among the subprotocols, behind a marker. Nothing is kept when the page goes.

const ROWS_MAX = 500;
const BODY_MAX = 64 * 1024;
const SHOWN_MAX = 4 * 1024;
const MARKER = 'tidegate.token';
// The notice that the gateway sends when it drops a message.
const NOTICE = /^Error code: (\d{4}) reason: /;
// RFC 6455, 7.4.1, and the code of browsers for a close without one.
const STANDARD = {
  1000: 'normal closure', 1001: 'the other side is going away', 1002: 'protocol error',
  1003: 'unsupported data', 1005: 'no status code', 1007: 'invalid UTF-8',
  1008: 'policy violation', 1009: 'message too big', 1010: 'missing extension',
  1011: 'internal error', 1012: 'service restart', 1013: 'try again later', 1014: 'bad gateway',
};

const find = (name) => document.querySelector(`[data-${name}]`);
const page = Object.fromEntries(['console', 'address', 'topic', 'token', 'subprotocols', 'connect', 'disconnect', 'status',
  'message', 'fault', 'send', 'count', 'filter', 'way', 'pause', 'clear', 'save', 'log', 'empty', 'rows', 'codes',
].map((name) => [name, find(name)]));

let socket = null;
let opened = false;
let leaving = false;
let paused = false;
let entries = [];
let dropped = 0;

// === What close codes mean ===

/** The gateway's reasons under a code, as the table of the page has them. */
function reasons(code) {
  const rows = page.codes.querySelectorAll(`[data-code="${code}"]`);
  return [...rows].map(({ cells }) => ({ label: cells[1].textContent, message: cells[2].textContent }));
}

function meaning(code, text) {
  const known = reasons(code);
  const named = known.find(({ message }) => text && text.startsWith(message));
  if (named) return named.label;
  const standard = STANDARD[code];
  if (code >= 4000 && known.length) return `one of: ${known.map(({ message }) => message).join('; ')}`;
  return standard ?? (code >= 4000 ? 'a code of the backend\u2019s own' : '');
}

// === What is shown ===

const encoder = new TextEncoder();
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
const plural = (n, noun) => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;

function note(kind, fields) {
  entries.push({ at: new Date(), kind, ...fields });
  if (entries.length > ROWS_MAX) {
    entries = entries.slice(-ROWS_MAX);
    dropped += 1;
  }
  if (!paused) show(entries.at(-1));
  count();
}

function event(text, tone = '') {
  note('event', { text, tone });
}

function matches(entry) {
  const way = page.way.value;
  const wanted = page.filter.value.toLowerCase();
  if (way && entry.kind !== way) return false;
  return !wanted || entry.text.toLowerCase().includes(wanted);
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function row(entry) {
  const item = element('li', `message-log-row ${entry.kind} ${entry.tone ?? ''}`);
  const head = element('p', 'message-log-head');
  const time = element('time', '', entry.at.toTimeString().slice(0, 8) + '.' + String(entry.at.getMilliseconds()).padStart(3, '0'));
  time.dateTime = entry.at.toISOString();
  head.append(time);
  if (entry.kind === 'event') {
    head.append(element('span', 'message-log-text', entry.text));
    item.append(head);
    return item;
  }
  head.append(element('span', 'message-log-way', entry.kind === 'sent' ? '↑ Sent' : '↓ Received'));
  head.append(element('span', 'muted', `${entry.type}, ${plural(entry.size, 'byte')}`));
  if (entry.notice) head.append(element('span', 'badge warn', entry.notice));
  const cut = entry.text.length > SHOWN_MAX;
  item.append(head, element('pre', 'message-log-body', cut ? `${entry.text.slice(0, SHOWN_MAX)}…` : entry.text));
  return item;
}

// Rows are drawn once a frame: a layout for each message would fall behind a busy backend.
let undrawn = [];

function show(entry) {
  undrawn.push(entry);
  if (undrawn.length === 1) requestAnimationFrame(draw);
  // A page that is not seen gets no frames.
  if (undrawn.length > ROWS_MAX) undrawn.shift();
}

function draw() {
  const { log, rows } = page;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  rows.append(...undrawn.filter(matches).map(row));
  undrawn = [];
  while (rows.children.length > ROWS_MAX) rows.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showAll() {
  // Rows that are only shown again are nothing to read out.
  page.log.setAttribute('aria-live', 'off');
  undrawn = [];
  // What came since the pause waits for its end, whatever is filtered meanwhile.
  const open = paused ? entries.slice(0, Math.max(0, frozen - dropped)) : entries;
  page.rows.replaceChildren(...open.filter(matches).map(row));
  page.log.scrollTop = page.log.scrollHeight;
  requestAnimationFrame(() => page.log.setAttribute('aria-live', 'polite'));
  count();
}

let frozen = 0;
function count() {
  const kept = plural(entries.length, 'row');
  const older = dropped ? `, ${plural(dropped, 'older row')} dropped` : '';
  const waiting = paused ? `, ${entries.length + dropped - frozen} while paused` : '';
  page.count.textContent = entries.length ? kept + older + waiting : '';
  page.empty.hidden = entries.length > 0;
}

function status(text, tone = '') {
  page.status.textContent = text;
  page.status.className = `live ${tone}`;
}

function buttons() {
  const state = socket?.readyState;
  page.connect.disabled = socket !== null || !page.address.selectedOptions.length;
  page.disconnect.disabled = socket === null;
  page.send.disabled = state !== WebSocket.OPEN;
}

// === The connection ===

const isLoopback = (host) => host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);

/** Where to connect to, or why not. */
function target() {
  const base = page.address.selectedOptions[0]?.dataset.url;
  if (!base) return { fault: 'This page can\'t open any of the addresses.' };
  const topic = page.topic.value.trim();
  const path = topic && !/^[/?]/.test(topic) ? `/${topic}` : topic;
  let url;
  try {
    url = new URL(base + path);
  } catch {
    return { fault: 'The topic is not a valid path.' };
  }
  if (!url.href.startsWith(base)) return { fault: 'The topic is outside of the API.' };
  if (url.hash) return { fault: 'A topic can\'t contain #.' };
  if (location.protocol === 'https:' && url.protocol === 'ws:' && !isLoopback(url.hostname)) {
    return { fault: 'This page was loaded over TLS, so the browser only allows wss:// addresses on other machines.' };
  }
  return { url };
}

function connect() {
  if (socket) return;
  const { url, fault } = target();
  const token = page.token.value.trim();
  if (fault || !token) {
    status(fault ?? 'Get or paste an access token first.', 'bad');
    if (!fault) page.token.focus();
    return;
  }
  const more = page.subprotocols.value.split(/[\s,]+/).filter(Boolean);
  try {
    socket = new WebSocket(url, [MARKER, token, ...more]);
  } catch (error) {
    status('The browser refused to connect.', 'bad');
    event(error instanceof DOMException ? 'The token or a subprotocol contains invalid characters.' : String(error), 'bad');
    return;
  }
  opened = false;
  leaving = false;
  socket.binaryType = 'arraybuffer';
  socket.onopen = onOpen;
  socket.onmessage = onMessage;
  socket.onclose = onClose;
  status(`Connecting to ${url}`);
  event(`Connecting to ${url}`);
  buttons();
}

function onOpen() {
  opened = true;
  const { protocol } = socket;
  status('Connected', 'good');
  event(protocol && protocol !== MARKER ? `Connected with the subprotocol ${protocol}` : 'Connected', 'good');
  buttons();
  page.message.focus();
}

function onMessage({ data }) {
  if (typeof data === 'string') {
    const [, code] = NOTICE.exec(data) ?? [];
    const size = encoder.encode(data).length;
    note('received', { type: 'text', size, text: data.slice(0, BODY_MAX), notice: code && `Throttled (${code})`, tone: code ? 'warn' : '' });
  } else {
    const bytes = new Uint8Array(data, 0, Math.min(data.byteLength, BODY_MAX / 4));
    note('received', { type: 'binary', size: data.byteLength, text: hex(bytes), bytes });
  }
}

function onClose({ code, reason, wasClean }) {
  socket = null;
  buttons();
  if (!opened) {
    const secure = page.address.selectedOptions[0]?.dataset.url.startsWith('wss:');
    status('Not connected: the gateway refused the connection or is unreachable', 'bad');
    event('The gateway refused the connection or is unreachable; the browser doesn\'t say which. Check that the token is valid, that its '
      + `application is subscribed, that the topic exists and that the gateway is running.${secure ? ' Check also that this browser trusts its certificate.' : ''}`, 'bad');
    return;
  }
  if (code === 1006 || (!wasClean && !leaving)) {
    status('Connection lost', 'bad');
    event('Connection lost without a close frame (1006): the gateway or the network failed.', 'bad');
    return;
  }
  const means = meaning(code, reason);
  const said = reason ? ` “${reason}”` : '';
  const text = `Closed with ${code}${said}${means ? `: ${means}` : ''}`;
  status(leaving ? 'Disconnected' : text, leaving || code === 1000 ? '' : 'bad');
  event(text, code === 1000 || leaving ? '' : 'bad');
}

function disconnect() {
  leaving = true;
  // What is not open yet is given up; its end is told as any other.
  socket?.close(1000);
  status('Disconnecting');
}

// === Sending ===

function bytesOf(kind, text) {
  const packed = text.replace(/\s+/g, '');
  if (kind === 'hex') {
    const digits = packed.replace(/^0x/i, '');
    if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) throw new Error('Hex must be pairs of the digits 0-9 and a-f');
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  }
  try {
    return Uint8Array.from(atob(packed.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0));
  } catch {
    throw new Error('This is not valid Base64');
  }
}

function send() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const kind = document.querySelector('[name="kind"]:checked').value;
  const text = page.message.value;
  page.fault.hidden = true;
  page.message.removeAttribute('aria-invalid');
  if (kind === 'text') {
    socket.send(text);
    note('sent', { type: 'text', size: encoder.encode(text).length, text: text.slice(0, BODY_MAX) });
  } else {
    let bytes;
    try {
      bytes = bytesOf(kind, text);
    } catch (error) {
      page.fault.textContent = error.message;
      page.fault.hidden = false;
      page.message.setAttribute('aria-invalid', 'true');
      page.message.focus();
      return;
    }
    socket.send(bytes);
    const kept = bytes.slice(0, BODY_MAX / 4);
    note('sent', { type: 'binary', size: bytes.length, text: hex(kept), bytes: kept });
  }
  page.message.select();
}

// === Keeping ===

function save() {
  const lines = entries.map(({ at, kind, type, size, text, bytes }) => JSON.stringify({
    time: at.toISOString(), kind, type, size, ...(bytes ? { hex: text } : { text }),
  }));
  const link = element('a');
  link.href = URL.createObjectURL(new Blob([lines.join('\n'), '\n'], { type: 'application/x-ndjson' }));
  link.download = `messages-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}.ndjson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function pause() {
  paused = !paused;
  frozen = entries.length + dropped;
  page.pause.setAttribute('aria-pressed', String(paused));
  page.pause.textContent = paused ? 'Resume' : 'Pause';
  if (paused) count();
  else showAll();
}

function clear() {
  entries = [];
  dropped = 0;
  frozen = 0;
  showAll();
}

if (page.console) {
  page.connect.addEventListener('click', connect);
  page.disconnect.addEventListener('click', disconnect);
  page.send.addEventListener('click', send);
  page.pause.addEventListener('click', pause);
  page.clear.addEventListener('click', clear);
  page.save.addEventListener('click', save);
  page.filter.addEventListener('input', showAll);
  page.way.addEventListener('change', showAll);
  page.message.addEventListener('keydown', (pressed) => {
    if (pressed.key !== 'Enter' || !(pressed.ctrlKey || pressed.metaKey)) return;
    pressed.preventDefault();
    send();
  });
  // Enter in a field connects; it does not ask for a token.
  page.console.addEventListener('keydown', (pressed) => {
    if (pressed.key !== 'Enter' || pressed.target.tagName !== 'INPUT') return;
    pressed.preventDefault();
    connect();
  });
  addEventListener('pagehide', () => socket?.close(1000));
  buttons();
  count();
}

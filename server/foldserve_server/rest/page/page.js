"use strict";
const INTERVAL_MS = 1000, KEPT = 60, BEST = 5, FREE_SIZE = 224;
const ARRAYS = {float32: Float32Array, float64: Float64Array, uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array, uint32: Uint32Array, int32: Int32Array};
const RANGES = [["0 … 1", v => v / 255, "0,1"], ["−1 … 1", v => v / 127.5 - 1, "-1,1"], ["0 … 255", v => v, "0,255"]];
const cards = new Map(), TOKEN = "foldserve token";
let token = sessionStorage.getItem(TOKEN) || "";

const call = (path, options = {}) => fetch(path, {...options, headers: token ? {Authorization: `Bearer ${token}`} : {}});

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element[key] = value;
  element.append(...children);
  return element;
}
const figure = value => value === null ? "not finite" : value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6
  ? value.toExponential(0).replace("+", "") : String(+value.toPrecision(3));
const count = value => value >= 100 ? Math.round(value).toLocaleString("en") : String(+value.toFixed(1));
const tensor = spec => `${spec.name} ${spec.dtype} [${spec.shape.slice(1).map(size => size < 0 ? "?" : size).join(", ")}]`;

function bar(share, title) {
  const fill = make("i");
  fill.style.width = share > 0 ? `max(2px, ${Math.min(1, share) * 100}%)` : "0";
  return make("div", {className: "bar", title}, fill);
}

function badge(version) {
  const [word, kind] = version.failed ? ["refused", "bad"] : {
    AVAILABLE: version.available ? ["serving", "good"] : ["restarting", "busy"],
    START: ["loading", "busy"], LOADING: ["loading", "busy"], UNLOADING: ["unloading", "busy"], END: ["unloaded", ""],
  }[version.state];
  return make("span", {className: `badge ${kind}`, title: version.state}, word);
}

function verdict(output, what) {
  const share = output.deviation === null ? 1 : output.bound ? output.deviation / output.bound : 0;
  const beyond = output.deviation === null || output.deviation > output.bound;
  return make("div", {className: beyond ? "verdict beyond" : "verdict"}, make("span", {}, output.output), bar(share, "deviation / bound"),
    make("span", {className: "soft"}, `${what} off by ${figure(output.deviation)} of ${figure(output.bound)} allowed`));
}

function shadow(drift) {
  if (!drift.compared) return [make("div", {className: "soft"}, `shadowed by ${drift.engine}: nothing compared yet`)];
  const more = ["beyond", "failed", "skipped"].filter(key => drift[key]).map(key => `, ${count(drift[key])} ${key}`).join("");
  const words = `shadowed by ${drift.engine}: ${count(drift.compared)} compared${more}`;
  return [make("div", {className: drift.beyond ? "reason" : "soft"}, words), ...drift.outputs.map(output => verdict(output, `${drift.engine}'s answers`))];
}

function gate(version) {
  const cell = make("td", {className: "wide"});
  cell.append(...version.verdicts.map(output => verdict(output, "golden answers")));
  if (version.sizes) cell.append(make("div", {className: "soft"}, version.sizes));
  if (version.shadow) cell.append(...shadow(version.shadow));
  if (version.caveat) cell.append(make("div", {className: "soft"}, version.caveat));
  if (version.reason) cell.append(make("div", {className: "reason"}, version.reason));
  return cell;
}

function row(name, version) {
  const number = make("td", {className: "number"}, version.version);
  for (const label of version.labels) number.append(make("span", {className: "label"}, label));
  const report = make("td", {className: "number"});
  if (version.report) {
    const link = make("a", {href: `/reports/${name}/${version.version}`, target: "_blank", rel: "noopener"}, "report");
    if (token) link.onclick = event => { event.preventDefault(); save(link.href, `${name}-${version.version}-report.html`); };
    report.append(link);
  }
  return make("tr", {}, number, make("td", {}, badge(version)), make("td", {}, version.engine), gate(version), report);
}

async function save(path, name) {  // a link cannot carry a token
  const url = URL.createObjectURL(await (await call(path)).blob());
  make("a", {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), INTERVAL_MS);
}

function demand(place) {
  cards.clear();
  if (document.getElementById("token")) return;
  const input = make("input", {type: "password", id: "token", autocomplete: "off"}), button = make("button", {type: "button"}, "Enter");
  const enter = () => { token = input.value.trim(); sessionStorage.setItem(TOKEN, token); refresh(); };
  button.onclick = enter;
  input.onkeydown = event => { if (event.key === "Enter") enter(); };
  place.replaceChildren(make("section", {className: "model token"}, make("label", {htmlFor: "token"}, "This server asks for a token:"), input, button));
}

function spark(values) {
  const space = "http://www.w3.org/2000/svg", svg = document.createElementNS(space, "svg"), line = document.createElementNS(space, "polyline");
  const top = Math.max(...values, 1e-9);
  svg.setAttribute("viewBox", `0 0 ${values.length - 1} 22`);
  svg.setAttribute("preserveAspectRatio", "none");
  line.setAttribute("points", values.map((value, index) => `${index},${21 - 20 * value / top}`).join(" "));
  svg.append(line);
  return svg;
}

function tile(value, words, extra = "") {
  return make("div", {className: "tile"}, make("small", {}, words), make("b", {}, value), extra);
}

function live(kept, version) {
  const before = kept.last;
  const seconds = before ? (version.at - before.at) / 1e9 : 0;
  const rate = key => before && seconds > 0 ? Math.max(0, version[key] - before[key]) / seconds : 0;
  if (before) kept.rates = [...kept.rates, rate("successes")].slice(-KEPT);
  const since = before && version.batches > before.batches ? before : {rows: 0, batches: 0};
  const rows = version.batches > since.batches ? (version.rows - since.rows) / (version.batches - since.batches) : kept.fill || 0;
  kept.fill = rows;
  kept.last = version;
  const padded = version.padding ? `, ${count(100 * version.padding / (version.rows + version.padding))} % padding` : "";
  const [half, most, nearly] = version.percentiles_ms;
  kept.tiles.replaceChildren(
    tile(count(rate("successes")), "requests / s", kept.rates.length > 1 ? spark(kept.rates) : ""),
    tile(count(rate("rows")), "rows / s", make("small", {}, `${version.rows.toLocaleString("en")} so far`)),
    tile(half === undefined ? "–" : `${figure(half)} ms`, "median latency",
      make("small", {}, half === undefined ? "nothing answered yet" : `p90 ${figure(most)}, p99 ${figure(nearly)} ms`)),
    tile(rows ? count(rows) : "–", "rows in a batch", make("small", {}, `of at most ${version.max_batch_size}${padded}`)),
    tile(count(version.failures), "failures", make("small", {}, `of ${(version.successes + version.failures).toLocaleString("en")} requests`)),
  );
}

const called = version => [`version ${version.version}`, ...version.labels].join(" · ");

function lives(card, serving) {
  const kept = new Map(serving.map(version => [version.key, card.lives.get(version.key) || {rates: [], tiles: make("div", {className: "live"}), head: make("h3")}]));
  card.lives = kept;
  const parts = serving.flatMap(version => {
    const view = kept.get(version.key);
    view.head.textContent = called(version);
    live(view, version);
    return serving.length > 1 ? [view.head, view.tiles] : [view.tiles];
  });
  if (parts.some((part, index) => card.live.children[index] !== part) || card.live.children.length !== parts.length) card.live.replaceChildren(...parts);
}

function imageInput(signature) {
  if (signature.inputs.length !== 1) return null;
  const [spec] = signature.inputs;
  return spec.shape.length === 4 && [1, 3].includes(spec.shape[3]) && spec.dtype in ARRAYS ? spec : null;
}

async function send(name, version, body) {
  const response = await call(`/v1/models/${name}/versions/${version}:predict`, {method: "POST", body: JSON.stringify(body)});
  const text = await response.text();
  const answer = JSON.parse(text.replace(/-?\b(NaN|Infinity)\b/g, "null"));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function show(card, answer, labels) {
  const row = Array.isArray(answer.predictions) ? answer.predictions[0] : null;
  if (!Array.isArray(row) || row.some(value => typeof value !== "number")) {
    const text = JSON.stringify(answer, null, 1);
    card.answer.replaceChildren(make("pre", {}, text.length > 4000 ? text.slice(0, 4000) + " …" : text));
    return;
  }
  const shares = row.every(value => value >= 0 && value <= 1.0001) && Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < 1e-2;
  const best = row.map((value, index) => [value, index]).sort((first, second) => second[0] - first[0]).slice(0, BEST);
  const top = Math.max(...best.map(([value]) => Math.abs(value)), 1e-30);
  card.answer.replaceChildren(make("ol", {}, ...best.map(([value, index]) => make("li", {},
    make("span", {title: labels ? labels[index] : ""}, labels ? labels[index] : `class ${index}`),
    bar(shares ? value : Math.max(0, value) / top), make("span", {}, shares ? `${(100 * value).toFixed(1)} %` : figure(value))))));
}

function fail(card, error) {
  card.answer.replaceChildren(make("p", {className: "reason"}, error.message));
}

function pixels(image, spec, scale, canvas) {
  const [height, width] = [1, 2].map(at => spec.shape[at] < 0 ? FREE_SIZE : spec.shape[at]), channels = spec.shape[3];
  Object.assign(canvas, {width, height, className: height < 96 ? "coarse" : ""});
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  pen.imageSmoothingQuality = "high";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0, width, height);
  const from = pen.getImageData(0, 0, width, height).data, to = new ARRAYS[spec.dtype](width * height * channels);
  for (let at = 0; at < width * height; at++) {
    const [red, green, blue] = from.subarray(4 * at, 4 * at + 3);
    if (channels === 1) to[at] = scale(0.299 * red + 0.587 * green + 0.114 * blue);
    else [red, green, blue].forEach((value, channel) => { to[3 * at + channel] = scale(value); });
  }
  return {to, shape: [height, width, channels]};
}

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function nested(flat, shape) {
  if (shape.length === 1) return Array.from(flat);
  const size = flat.length / shape[0];
  return Array.from({length: shape[0]}, (_, at) => nested(flat.subarray(at * size, (at + 1) * size), shape.slice(1)));
}

function tryImage(card, name, version, info, spec) {
  const input = make("input", {type: "file", accept: "image/*"}), canvas = make("canvas", {hidden: true});
  const words = make("span", {}, "Drop an image here, or choose one");
  const drop = make("label", {className: "drop"}, canvas, words, input);
  const choice = make("select", {}, ...RANGES.map(([text], index) => make("option", {value: index}, text)));
  const range = RANGES.findIndex(([, , ends]) => ends === String(info.pixels));
  choice.value = range >= 0 ? range : spec.dtype.startsWith("float") ? 0 : 2;
  let image = null;
  const ask = async () => {
    if (!image) return;
    try {
      const {to, shape} = pixels(image, spec, RANGES[choice.value][1], canvas);
      canvas.hidden = false;
      const fixed = spec.shape.slice(1).every(size => size >= 0);
      const value = fixed ? {b64: base64(new Uint8Array(to.buffer))} : nested(to, shape);
      show(card, await send(name, card.tried.version, {instances: [value]}), info.labels);
    } catch (error) { fail(card, error); }
  };
  const take = async files => {
    if (!files.length) return;
    try { image = await createImageBitmap(files[0]); } catch { return fail(card, new Error(`${files[0].name} is not an image that this browser can read`)); }
    words.textContent = files[0].name;
    await ask();
  };
  input.onchange = () => take(input.files);
  choice.onchange = ask;
  drop.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = event => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files); };
  const hint = make("div", {className: "options"}, make("label", {}, "pixels as ", choice), make("div", {}, range >= 0 ? "as its golden samples have them" : "as the model was trained"));
  if (spec.dtype === "uint8") hint.lastChild.textContent = "as its input takes them";
  if (info.preprocessing) hint.lastChild.textContent = `the bundle says: ${info.preprocessing}`;
  return make("div", {}, drop, hint);
}

function tryJson(card, name, info) {
  const rowOf = spec => spec.shape.slice(1).reduceRight((inner, size) => Array.from({length: Math.max(1, Math.min(size, 8))}, () => inner), spec.dtype === "bool" ? false : 0);
  const {inputs} = info.signature;
  const row = inputs.length === 1 ? rowOf(inputs[0]) : Object.fromEntries(inputs.map(spec => [spec.name, rowOf(spec)]));
  const text = make("textarea", {value: JSON.stringify({instances: [row]}), spellcheck: false, ariaLabel: "request"});
  const button = make("button", {type: "button"}, "Predict");
  button.onclick = async () => {
    try { show(card, await send(name, card.tried.version, JSON.parse(text.value)), info.labels); } catch (error) { fail(card, error); }
  };
  return make("div", {}, text, button);
}

function choose(card, model, serving) {  // requests go to the default version, until another one is picked
  const there = model.versions.filter(version => version.state === "AVAILABLE");
  const options = JSON.stringify(there.map(({version, labels}) => [version, labels]));
  if (options !== card.options) card.choice.replaceChildren(...there.map(version => make("option", {value: version.version}, called(version))));
  card.options = options;
  card.tried = there.find(({version}) => version === card.picked) || serving;
  card.choice.value = card.tried.version;
  card.choice.onchange = () => { card.picked = card.choice.value; choose(card, model, serving); };
  card.choice.parentElement.hidden = there.length < 2;
  if (card.described !== card.tried.key) { card.described = card.tried.key; describe(card, model.name, card.tried); }
}

async function describe(card, name, version) {
  const response = await call(`/page/models/${name}/versions/${version.version}`);
  if (!response.ok || card.described !== version.key) return;
  const info = await response.json(), {signature} = info;
  card.signature.textContent = `${signature.inputs.map(tensor).join(", ")} → ${signature.outputs.map(tensor).join(", ")}`;
  const spec = imageInput(signature);
  card.answer.replaceChildren(make("p", {className: "soft"}, "The answer comes here."));
  card.trying.replaceChildren(spec ? tryImage(card, name, version, info, spec) : tryJson(card, name, info), card.answer);
}

function update(model) {
  if (!cards.has(model.name)) {
    const card = {lives: new Map(), live: make("div"), body: make("tbody"), signature: make("code", {className: "soft"}),
      trying: make("div", {className: "try"}), answer: make("div", {className: "answer", ariaLive: "polite"}), choice: make("select")};
    const heads = ["version", "state", "engine", "gate", ""].map(word => make("th", {scope: "col"}, word));
    card.root = make("section", {className: "model"}, make("div", {className: "head"}, make("h2", {}, model.name), card.signature), card.live,
      make("div", {className: "table"}, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), card.body)),
      make("label", {className: "choice soft", hidden: true}, "try ", card.choice), card.trying);
    cards.set(model.name, card);
  }
  const card = cards.get(model.name), serving = model.versions.find(version => version.version === model.serving);
  const rows = JSON.stringify(model.versions.map(({version, state, failed, available, labels, reason, key, shadow}) => [version, state, failed, available, labels, reason, key, shadow]));
  if (rows !== card.rows) card.body.replaceChildren(...model.versions.map(version => row(model.name, version)));
  card.rows = rows;
  card.live.hidden = card.trying.hidden = !serving;
  lives(card, model.versions.filter(version => version.state === "AVAILABLE"));
  if (serving) choose(card, model, serving);
  return card.root;
}

const notices = make("ul", {className: "notices", ariaLabel: "passed over"});

function notice(lines) {  // what the server found in its folders and does not serve
  const text = lines.join("\n");
  if (text !== notices.text) notices.replaceChildren(...lines.map(line => make("li", {}, line)));
  notices.text = text;
  return lines.length ? [notices] : [];
}

const nothing = make("p", {className: "soft"}, "No model is known yet. export-model writes bundles to the folder this server watches.");
let timer = 0;

async function refresh() {
  clearTimeout(timer);
  const statusLine = document.getElementById("status"), place = document.getElementById("models");
  try {
    const response = await call("/page/state", {cache: "no-store"});
    if (response.status === 401) {
      statusLine.textContent = token ? "the token is not known" : "";
      statusLine.className = "bad";
      return demand(place);
    }
    const state = await response.json();
    document.getElementById("version").textContent = state.version;
    const roots = [...(state.models.length ? state.models.map(update) : [nothing]), ...notice(state.notices)];
    if (roots.some((root, index) => place.children[index] !== root) || place.children.length !== roots.length) place.replaceChildren(...roots);
    const serving = state.models.filter(model => model.serving !== null).length;
    statusLine.textContent = `${serving} of ${state.models.length} models serving`;
    statusLine.className = "";
  } catch {
    statusLine.textContent = "the server does not answer";
    statusLine.className = "bad";
  }
  timer = setTimeout(refresh, INTERVAL_MS);
}
refresh();

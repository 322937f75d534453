"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const names = data.estimators.map((estimator) => estimator.name);
const state = { episode: 0, left: data.reference, right: "", token: 0, pinned: false, choice: 0 };
state.right = names.find((name) => name === "reinforce-group") || "";
const $ = (id) => document.getElementById(id);

// Elements: texts are set as text, so nothing that a model wrote is read as markup.
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
const signed = (number) => (Math.abs(number) < 5e-4 ? "0" : (number > 0 ? "+" : "−") + plain(Math.abs(number)));
function plain(number) {
  return Math.abs(number) >= 100 ? number.toFixed(0) : String(Number(number.toFixed(3))).replace("-", "−");
}
const percent = (p) => (p >= 0.1 ? (100 * p).toFixed(0) : (100 * p).toPrecision(2)) + " %";
const signOf = (number) => (Math.abs(number) < 5e-4 ? 0 : Math.sign(number));
function words(text) {
  if (text === "") return "end of turn";
  return text.replace(/\n/g, "⏎").replace(/\t/g, "⇥");
}
const quoted = (text) => (text === "" ? "end of turn" : "«" + words(text) + "»");

// The largest advantage of an estimator over all episodes of the page: each has its own scale.
const scales = Object.fromEntries(names.map((name) => {
  const all = data.episodes.flatMap((episode) => episode.tokens.map((token) => Math.abs(token.advantages[name])));
  return [name, Math.max(...all, 1e-9)];
}));
const current = () => data.episodes[state.episode];
function mostImportant(episode) {
  let best = 0;
  episode.tokens.forEach((token, i) => {
    if (Math.abs(token.advantages[data.reference]) > Math.abs(episode.tokens[best].advantages[data.reference])) best = i;
  });
  return best;
}

function tokenButton(episode, number, name, star) {
  const token = episode.tokens[number];
  const advantage = token.advantages[name];
  const text = token.text === ""
    ? make("span", { class: "text" }, make("span", { class: "end" }, "end"))
    : make("span", { class: "text" }, words(token.text));
  const label = `${words(token.text)}: advantage ${signed(advantage)}` + (token.reward ? `, reward ${signed(token.reward)}` : "");
  const button = make("button", {
    class: "token", type: "button", "data-token": number, "data-sign": signOf(advantage), "aria-label": label,
    tabindex: number === state.token ? 0 : -1,
    on: {
      mouseenter: () => { if (!state.pinned) select(number); },
      click: () => { state.pinned = !(state.pinned && state.token === number); select(number); },
      focus: () => { if (state.token !== number) select(number); },
    },
  }, text, make("span", { class: "bar" }));
  button.style.setProperty("--size", Math.min(1, Math.abs(advantage) / scales[name]).toFixed(3));
  if (star) button.append(make("b", { class: "mark star", "aria-hidden": "true" }, "★"));
  if (token.reward) button.append(make("b", { class: "mark paid", "aria-hidden": "true" }, signed(token.reward)));
  return button;
}

function panel(name) {
  const episode = current(), most = mostImportant(episode);
  const estimator = data.estimators.find((one) => one.name === name);
  const matters = Math.abs(episode.tokens[most]?.advantages[data.reference] || 0) > 5e-4;
  const [correlation, same] = episode.agreement[name];
  const compared = name === data.reference
    ? "the reference that the others are compared with"
    : `the same sign as ${data.reference} at ${same} of ${episode.tokens.length} tokens`
      + (correlation === null ? "" : `, correlation ${signed(correlation)}`);
  const transcript = make("div", { class: "transcript", role: "group", "aria-label": `transcript, ${name}` });
  for (const piece of episode.pieces) {
    if (typeof piece === "string") { transcript.append(make("span", { class: "environment" }, piece)); continue; }
    transcript.append(tokenButton(episode, piece, name, matters && piece === most));
    if (episode.tokens[piece].text.includes("\n")) transcript.append(make("br"));
  }
  return make("section", { class: "panel", "data-estimator": name }, make("h3", {}, name),
    make("p", { class: "summary" }, estimator.summary), make("p", { class: "agrees" }, `${compared}; full colour: ±${plain(scales[name])}`),
    transcript);
}

function meter(value, scale) {
  const bar = make("i");
  const share = Math.min(1, Math.abs(value) / scale) * 50;
  bar.style.left = (value >= 0 ? 50 : 50 - share) + "%";
  bar.style.width = share + "%";
  return make("span", { class: "meter", "data-sign": signOf(value), "aria-hidden": "true" }, bar);
}

function facts(rows) {
  const list = make("dl", { class: "facts" });
  for (const [term, text] of rows) list.append(make("dt", {}, term), make("dd", {}, text));
  return list;
}

// Each branch a dot over its return; equal returns are stacked.
function strip(alternatives, chosen) {
  const all = alternatives.flatMap((one) => one.returns);
  const low = Math.min(...all), high = Math.max(...all), width = high - low || 1;
  const place = (value) => 14 + (value - low) / width * 292;
  const counts = new Map();
  for (const value of chosen.returns) { const x = Math.round(place(value) / 7) * 7; counts.set(x, (counts.get(x) || 0) + 1); }
  const tallest = Math.max(...counts.values()), step = Math.min(7, 56 / tallest), height = 60;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 320 ${height + 20}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `returns of ${chosen.returns.length} branches`);
  const add = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    svg.append(element);
  };
  add("line", { class: "axis", x1: 8, x2: 312, y1: height, y2: height });
  for (const [x, count] of counts)
    for (let k = 0; k < count; k++) add("circle", { class: "dot", cx: x, cy: height - 4 - k * step, r: 3 });
  const mean = chosen.returns.reduce((sum, value) => sum + value, 0) / chosen.returns.length;
  add("line", { class: "mean", x1: place(mean), x2: place(mean), y1: 0, y2: height + 3 });
  add("text", { x: 8, y: height + 15 }, signed(low));
  add("text", { x: 312, y: height + 15, "text-anchor": "end" }, signed(high));
  const inside = place(mean) > 60 && place(mean) < 260;
  if (inside) add("text", { x: place(mean), y: height + 15, "text-anchor": "middle" }, "mean " + signed(mean));
  return [svg, mean];
}

function whatIf(token) {
  const alternatives = token.alternatives, exact = data.reference === "exact";
  const rows = alternatives.map((one, i) => make("tr", {
    class: "choice" + (i === state.choice ? " on" : ""), on: { click: () => { state.choice = i; state.pinned = true; detail(); focusChoice(i); } },
  },
  make("td", { class: "text" }, make("button", { type: "button", "aria-pressed": i === state.choice, "data-choice": i }, quoted(one.text)),
    one.chosen ? " ✓" : ""),
  make("td", { class: "number" }, percent(one.probability)),
  exact ? make("td", { class: "number" }, signed(one.exact)) : null,
  make("td", { class: "number" }, `${signed(one.advantage)} ± ${plain(one.error)}`)));
  const head = make("tr", {}, make("th", {}, "token"), make("th", { class: "number" }, "prob."),
    exact ? make("th", { class: "number" }, "A exact") : null, make("th", { class: "number" }, "A branches"));
  const chosen = alternatives[state.choice] || alternatives[0];
  const [svg, mean] = strip(alternatives, chosen);
  const story = make("div", { class: "transcript" });
  for (const [role, text] of chosen.continuation) story.append(make("span", { class: role }, words(text)));
  return [
    make("h4", {}, "What if the policy had written …"),
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)),
    make("div", { class: "branch" },
      make("div", {}, `${quoted(chosen.text)}: ${chosen.returns.length} branches return ${signed(mean)} on average from here`), svg,
      chosen.continuation.length ? make("div", { class: "small" }, "one of them, from this turn on:") : null, story),
  ];
}
const focusChoice = (i) => document.querySelector(`button[data-choice="${i}"]`)?.focus();

function detail() {
  const episode = current(), token = episode.tokens[state.token], aside = $("detail");
  if (!token) { aside.replaceChildren("The policy wrote nothing."); return; }
  const values = Object.entries(token.values).map(([source, value]) =>
    [`V, ${source}`, plain(value) + (source === "branches" ? ` ± ${plain(token.value_error)}` : "")]);
  const rows = names.map((name) => make("tr", { class: name === state.left || name === state.right ? "on" : "" },
    make("th", { scope: "row" }, name),
    make("td", { class: "number" }, signed(token.advantages[name]) + (token.errors[name] ? ` ± ${plain(token.errors[name])}` : "")),
    make("td", {}, meter(token.advantages[name], scales[name]))));
  aside.replaceChildren(
    make("h3", {}, quoted(token.text)),
    make("div", { class: "small" }, `token ${state.token + 1} of ${episode.tokens.length}, turn ${token.turn + 1}${state.pinned ? "; held, Esc lets go" : ""}`),
    facts([
      ["probability", percent(Math.exp(token.log_prob))],
      ["log-prob.", plain(token.log_prob)],
      ["entropy", `${plain(token.entropy)} nats`],
      ["reward", token.reward ? signed(token.reward) : "none here"],
      ...values,
    ]),
    ...whatIf(token),
    make("h4", {}, "Its advantage by every estimator, each bar on its own scale"),
    make("table", {}, make("tbody", {}, ...rows)));
}

function select(number, focus) {
  const count = current().tokens.length;
  if (!count) { detail(); return; }
  state.token = Math.max(0, Math.min(count - 1, number));
  const alternatives = current().tokens[state.token].alternatives;
  state.choice = Math.max(0, alternatives.findIndex((one) => !one.chosen));
  for (const button of document.querySelectorAll(".panels .token")) {
    const here = Number(button.dataset.token) === state.token;
    button.classList.toggle("selected", here);
    button.tabIndex = here ? 0 : -1;
  }
  if (focus) {
    const side = document.activeElement?.closest?.(".panel")?.dataset.estimator || state.left;
    document.querySelector(`.panel[data-estimator="${CSS.escape(side)}"] .token[data-token="${state.token}"]`)?.focus();
  }
  detail();
}

function ledger() {
  const episode = current();
  const head = make("tr", {}, ...["turn", "response", "reward", "sum of advantages"].map((name, i) =>
    make("th", { scope: "col", class: i === 3 ? "number" : "" }, i === 3 ? `${name}, ${state.left}` : name)));
  const rows = episode.turns.map((turn, i) => {
    const sum = episode.tokens.filter((token) => token.turn === i).reduce((all, token) => all + token.advantages[state.left], 0);
    return make("tr", {}, make("th", { scope: "row" }, i + 1), make("td", { class: "text" }, words(turn.response)),
      make("td", {}, turn.ledger), make("td", { class: "number" }, signed(sum)));
  });
  const group = episode.group_returns;
  const mean = group.reduce((sum, value) => sum + value, 0) / group.length;
  const total = make("tr", {}, make("th", { scope: "row" }, "all"), make("td", {}, episode.ended),
    make("td", {}, `return ${signed(episode.total)}; its group of ${group.length}: ${group.map(signed).join(", ")}; mean ${signed(mean)}`), make("td", {}));
  $("ledger").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows, total));
}

function table() {
  const episode = current();
  const head = make("tr", {}, make("th", { scope: "col" }, "token"), make("th", { scope: "col", class: "number" }, "reward"),
    make("th", { scope: "col", class: "number" }, "V"), ...names.map((name) => make("th", { scope: "col", class: "number" }, name)));
  const rows = episode.tokens.map((token) => make("tr", {}, make("th", { scope: "row", class: "text" }, words(token.text)),
    make("td", { class: "number" }, token.reward ? signed(token.reward) : ""),
    make("td", { class: "number" }, plain(token.values.exact ?? token.values.branches)),
    ...names.map((name) => make("td", { class: "number" }, signed(token.advantages[name])))));
  $("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
}

function draw() {
  const shown = [state.left, ...(state.right && state.right !== state.left ? [state.right] : [])];
  $("panels").replaceChildren(...shown.map(panel));
  $("left").value = state.left;
  $("right").value = state.right;
  for (const [i, button] of [...$("episodes").children].entries()) button.setAttribute("aria-pressed", i === state.episode);
  const parts = current().verdict.split(/(«[^»]*»)/);
  $("verdict").replaceChildren(...parts.map((part) => (part.startsWith("«") ? make("b", {}, part) : part)));
  ledger();
  table();
  select(state.token);
}
function show(episode) {
  state.episode = episode;
  state.token = mostImportant(current());
  state.pinned = false;
  draw();
}
function step(side, by) {
  const options = side === "right" ? ["", ...names] : names;
  state[side] = options[(options.indexOf(state[side]) + by + options.length) % options.length];
  draw();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "SELECT") return;
  const number = Number(event.key);
  if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
    state.pinned = true;
    select(state.token + (event.key === "ArrowRight" ? 1 : -1), true);
  } else if (event.key === "[" || event.key === "]") step("left", event.key === "]" ? 1 : -1);
  else if (event.key === "," || event.key === ".") step("right", event.key === "." ? 1 : -1);
  else if (event.key === "Escape") { state.pinned = false; detail(); }
  else if (number >= 1 && number <= data.episodes.length) show(number - 1);
  else return;
  event.preventDefault();
});
window.addEventListener("beforeprint", () => { $("all").open = true; });

const given = Object.entries(data.arguments).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
$("given").textContent = [data.env_id, ...given, `agent: ${data.agent}`].join(" · ");
data.episodes.forEach((episode, i) => $("episodes").append(
  make("button", { type: "button", on: { click: () => show(i) } }, episode.title)));
for (const name of names) $("left").append(make("option", { value: name }, name));
$("right").append(make("option", { value: "" }, "nothing"), ...names.map((name) => make("option", { value: name }, name)));
$("left").addEventListener("change", (event) => { state.left = event.target.value; draw(); });
$("right").addEventListener("change", (event) => { state.right = event.target.value; draw(); });
for (const estimator of data.estimators) $("estimators").append(make("dt", {}, estimator.name), make("dd", {}, estimator.summary));
for (const [name, reason] of Object.entries(data.left_out))
  $("estimators").append(make("dt", {}, name), make("dd", {}, `left out: ${reason}`));
const s = data.settings;
$("settings").textContent = `γ = ${s.gamma} for each of the ${s.discount_unit}; λ = ${s.gae_lambda} in actor-critic and ppo; `
  + `groups of ${s.group_size}; ${s.samples} branches of each state and of each alternative, ± one standard error; seed ${s.seed}. `
  + "A value by branching is that of the state, hidden parts included; an exact one is that of the text that the policy sees.";
show(0);

"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page").textContent);
  const pairwise = page.mode === "pairwise";
  const at = (id) => document.getElementById(id);
  const store = `limner-people-${page.page}`;
  const TOO_SOON = 200; // ms: a double click must not answer the next question too
  let state = null, order = [], shownAt = Infinity, hideTimer = 0, kept = true;

  // --- order: the same for a seed, so that it can be made again from the votes

  function random(seed) { // mulberry32
    return () => {
      seed = (seed + 0x6d2b79f5) | 0;
      let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  function shuffled(items, seed) { // Fisher and Yates
    const next = random(seed), all = items.slice();
    for (let i = all.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [all[i], all[j]] = [all[j], all[i]];
    }
    return all;
  }

  // an odd seed turns all sides, so that over raters each image is as often left as right
  const sides = (trial) => (pairwise && state.order_seed % 2 ? [trial.images[1], trial.images[0]] : trial.images);

  // --- what lasts

  function begin() {
    const words = crypto.getRandomValues(new Uint32Array(3));
    const hex = (word) => word.toString(16).padStart(8, "0");
    return { rater_id: hex(words[0]) + hex(words[1]), rater: "", order_seed: words[2], started: new Date().toISOString(), votes: [] };
  }

  function restore() {
    try {
      const found = JSON.parse(localStorage.getItem(store));
      const ids = new Set(page.trials.map((trial) => trial.id));
      const whole = found && Array.isArray(found.votes) && Number.isInteger(found.order_seed) && typeof found.rater_id === "string";
      return whole && found.votes.every((vote) => ids.has(vote.trial)) ? found : null;
    } catch { return null; }
  }

  function keep() {
    try { localStorage.setItem(store, JSON.stringify(state)); } catch { kept = false; }
    at("not-kept").hidden = kept;
  }

  const complete = () => state.votes.length >= page.trials.length;

  function result() {
    const { rater_id, rater, order_seed, started, votes } = state;
    return JSON.stringify({ format: "limner-people-votes", version: 1, page: page.page, mode: page.mode, rater_id, rater,
      order_seed, started, saved: new Date().toISOString(), complete: complete(), votes }, null, 1);
  }

  // --- screens

  function show(name) {
    for (const id of ["intro", "ask", "done"]) at(id).hidden = id !== name;
    document.body.dataset.screen = name;
    window.scrollTo(0, 0);
  }

  function intro() {
    const answered = state.votes.length;
    at("start").textContent = answered ? `Go on at question ${answered + 1}` : "Begin";
    at("afresh").hidden = !answered;
    at("resumed").hidden = !answered;
    at("rater").value = state.rater;
    show("intro");
    at("start").focus();
  }

  function ask() {
    if (complete()) return done();
    const count = state.votes.length, trial = order[count];
    const shown = sides(trial);
    const says = `Question ${count + 1} of ${page.trials.length}`;
    at("count").textContent = says;
    at("bar").style.width = `${(100 * count) / page.trials.length}%`;
    at("progress").setAttribute("aria-valuenow", count);
    at("undo").disabled = count === 0;
    at("description").textContent = trial.text || "";
    at("description").hidden = !trial.text;
    shownAt = Infinity;
    clearTimeout(hideTimer);
    at("gone").hidden = true;
    show("ask");
    at("ask").focus({ preventScroll: true });
    document.body.classList.add("still");
    const pictures = pairwise ? [at("left"), at("right")] : [at("single")];
    pictures.forEach((picture, k) => { picture.src = page.images[shown[k]]; picture.hidden = false; });
    const ready = Promise.all(pictures.map((picture) => picture.decode().catch(() => {})));
    ready.then(() => requestAnimationFrame(() => {
      if (order[state.votes.length] !== trial) return;
      shownAt = performance.now();
      if (page.limit) hideTimer = setTimeout(() => { at("single").hidden = true; at("gone").hidden = false; }, 1000 * page.limit);
    }));
  }

  function vote(choice) {
    const ms = performance.now() - shownAt;
    if (document.body.dataset.screen !== "ask" || ms < TOO_SOON || !(ms > 0)) return;
    const trial = order[state.votes.length];
    state.votes.push({ trial: trial.id, shown: sides(trial), choice, ms: Math.round(ms) });
    keep();
    ask();
  }

  function undo() {
    if (!state.votes.length) return;
    state.votes.pop();
    keep();
    ask();
  }

  function done() {
    clearTimeout(hideTimer);
    const left = page.trials.length - state.votes.length;
    at("done-title").textContent = left ? "Paused" : "Thank you";
    at("done-text").textContent = left
      ? `${state.votes.length} of ${page.trials.length} questions are answered. You can go on now or later in this browser; votes saved now count too.`
      : `All ${page.trials.length} questions are answered. Save your votes and send the file to whoever asked you.`;
    at("more").hidden = !left;
    at("json").value = result();
    at("said").textContent = "";
    show("done");
    at("save").focus();
  }

  function afresh() {
    if (state.votes.length && !confirm("The answers in this browser will be forgotten. Were they saved as a file?")) return;
    state = begin();
    keep();
    order = shuffled(page.trials, state.order_seed);
    intro();
  }

  function save() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([result()], { type: "application/json" }));
    link.download = `votes-${page.page.slice(0, 8)}-${state.rater_id.slice(0, 8)}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    at("said").textContent = `Saved as ${link.download}.`;
  }

  async function copy() {
    at("json").value = result();
    try {
      await navigator.clipboard.writeText(at("json").value);
    } catch { // no permission, or an old browser
      at("text").open = true;
      at("json").focus();
      at("json").select();
      if (!document.execCommand("copy")) { at("said").textContent = "Copy the selected text below."; return; }
    }
    at("said").textContent = "Copied.";
  }

  // --- what people do

  const on = (id, action) => at(id) && at(id).addEventListener("click", action);
  on("start", () => { state.rater = at("rater").value.trim().slice(0, 100); keep(); ask(); });
  on("afresh", afresh); on("again", afresh); on("undo", undo); on("pause", done); on("more", ask); on("save", save); on("copy", copy);
  on("vote-left", () => vote("left")); on("vote-right", () => vote("right")); on("vote-tie", () => vote("tie"));
  on("vote-real", () => vote("real")); on("vote-fake", () => vote("fake"));

  const keys = pairwise
    ? { ArrowLeft: () => vote("left"), ArrowRight: () => vote("right"), ...(page.ties ? { " ": () => vote("tie") } : {}) }
    : { ArrowLeft: () => vote("real"), ArrowRight: () => vote("fake") };
  Object.assign(keys, { Backspace: undo, u: undo });

  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.screen !== "ask" || event.ctrlKey || event.metaKey || event.altKey) return;
    // a button that was reached with Tab keeps its own space bar
    if (event.key === " " && event.target.closest("button")) return;
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    if (!event.repeat) action();
  });
  document.addEventListener("pointermove", () => document.body.classList.remove("still"));
  addEventListener("beforeunload", (event) => { if (!kept && state.votes.length) event.preventDefault(); });

  state = restore() || begin();
  order = shuffled(page.trials, state.order_seed);
  keep();
  if (complete()) done(); else intro();
})();

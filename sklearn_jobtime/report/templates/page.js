(function () {
  "use strict";
  const by = (id) => document.getElementById(id);
  const root = document.documentElement;
  const overview = by("overview"), view = by("view"), body = document.querySelector(".overview tbody");
  const rows = Array.from(body.rows);
  const links = rows.map((row) => row.querySelector("a"));
  const title = document.title;
  let state = "", sorted = "0", down = false, zone = null;

  function remember(key, value) { try { localStorage.setItem("jobtime-" + key, value); } catch (e) { /* no storage: nothing is kept */ } }
  function recall(key) { try { return localStorage.getItem("jobtime-" + key); } catch (e) { return null; } }

  function theme(name) {
    if (name === "auto") root.removeAttribute("data-theme"); else root.setAttribute("data-theme", name);
  }
  const themes = by("theme");
  const own = recall("theme");
  if (own === "light" || own === "dark") { themes.value = own; theme(own); }
  themes.addEventListener("change", () => { theme(themes.value); remember("theme", themes.value); });

  const zones = by("zone"), page = zones.options[0].text;
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (local && local !== page) zones.add(new Option(local + " (yours)", local));
  const shapes = {};
  function clock(name) {
    if (!shapes[name]) shapes[name] = new Intl.DateTimeFormat("sv-SE", { timeZone: name, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return shapes[name];
  }
  function times(part) {
    if (!zone) return;
    part.querySelectorAll("time").forEach((time) => {
      const rounded = new Date(Math.round(Date.parse(time.dateTime) / 60000) * 60000);
      const text = clock(zone).format(rounded);
      const form = time.dataset.form;
      time.textContent = form === "clock" ? text.slice(-5) : form === "day" ? text.slice(0, 10) : text;
    });
    part.querySelectorAll(".zone").forEach((one) => { one.textContent = zone; });
  }
  zones.addEventListener("change", () => {
    zone = zones.value === "page" ? page : zones.value;
    times(document);
  });

  function select() {
    const asked = by("find").value.trim().toLowerCase();
    let n = 0;
    rows.forEach((row) => {
      const shown = row.dataset.name.includes(asked) && (!state || row.dataset.states.split(" ").includes(state));
      row.hidden = !shown;
      if (shown) n += 1;
    });
    by("shown").textContent = n === rows.length ? n + " shown" : n + " of " + rows.length + " shown";
    by("nothing").hidden = n > 0;
  }
  by("find").addEventListener("input", select);
  const chips = Array.from(document.querySelectorAll(".chips button"));
  chips.forEach((chip) => chip.addEventListener("click", () => {
    state = chip.dataset.state;
    chips.forEach((other) => other.setAttribute("aria-pressed", String(other === chip)));
    select();
  }));

  function value(row, key) {
    if (key === "name") return row.dataset.name;
    const cell = row.querySelector(".c-" + key);
    const text = cell ? cell.dataset.sort : "";
    return text === "" ? null : isNaN(text) ? text : Number(text);
  }
  const words = new Intl.Collator("en", { numeric: true });
  function sort(key, downwards) {
    sorted = key; down = downwards;
    const order = rows.map((row, k) => ({ row, k, v: key === "0" ? k : value(row, key) }));
    order.sort((a, b) => {
      if (a.v === null || b.v === null) return (a.v === null) - (b.v === null) || a.k - b.k;
      const way = typeof a.v === "string" || typeof b.v === "string" ? words.compare(a.v, b.v) : a.v - b.v;
      return (down ? -way : way) || a.k - b.k;
    });
    order.forEach((one) => body.append(one.row));
    document.querySelectorAll(".overview thead button").forEach((button) => {
      button.parentElement.setAttribute("aria-sort", button.dataset.key === key ? (down ? "descending" : "ascending") : "none");
    });
    by("order").value = key;
  }
  document.querySelectorAll(".overview thead button").forEach((button) => button.addEventListener("click", () => {
    const key = button.dataset.key;
    sort(key, sorted === key ? !down : key === "odd" || key === "age");
  }));
  by("order").addEventListener("change", (event) => sort(event.target.value, event.target.value === "odd" || event.target.value === "age"));

  let views = null;
  async function unpacked() {
    if (views) return views;
    const packed = Uint8Array.from(atob(by("views").textContent), (sign) => sign.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    views = JSON.parse(await new Response(stream).text());
    return views;
  }
  async function made(k) {
    const holder = document.createElement("div");
    holder.innerHTML = (await unpacked())[k];
    times(holder);
    return holder.firstElementChild;
  }
  function nameOf(hash) {
    if (!hash.startsWith("#series=")) return null;
    try { return decodeURIComponent(hash.slice(8)); } catch (e) { return hash.slice(8); }
  }
  async function go(move) {
    const name = nameOf(location.hash);
    const k = name === null ? -1 : links.findIndex((link) => link.textContent === name);
    document.body.classList.remove("all");
    if (k < 0) {
      view.hidden = true; view.replaceChildren(); overview.hidden = false; document.title = title;
      if (name !== null) { by("find").value = name; select(); }
      if (move) by("main").focus();
      return;
    }
    const article = await made(k);
    if (nameOf(location.hash) !== name) return;
    const shown = Array.from(body.rows).filter((row) => !row.hidden || row === rows[k]);
    const place = shown.indexOf(rows[k]);
    [["prev", place - 1], ["next", place + 1]].forEach(([which, other]) => {
      const link = article.querySelector(".turn ." + which);
      const target = shown[other];
      if (!target) { link.remove(); return; }
      const to = target.querySelector("a");
      link.href = to.getAttribute("href");
      link.textContent = (which === "prev" ? "← " : "") + to.textContent + (which === "next" ? " →" : "");
    });
    view.replaceChildren(article);
    view.hidden = false; overview.hidden = true; document.title = name;
    if (move) { window.scrollTo(0, 0); view.focus({ preventScroll: true }); }
  }
  window.addEventListener("hashchange", () => { if (location.hash !== "#main") go(true); });
  by("everything").addEventListener("click", async () => {
    const wanted = Array.from(body.rows).filter((row) => !row.hidden);
    const all = await Promise.all(wanted.map((row) => made(row.dataset.view)));
    all.forEach((article) => article.querySelectorAll(".turn, .back").forEach((part) => part.remove()));
    document.body.classList.add("all");
    view.replaceChildren(...all);
    view.hidden = false;
    view.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !overview.hidden) { event.preventDefault(); by("find").focus(); }
    if (event.key === "Escape" && !overview.hidden && event.target === by("find")) { by("find").value = ""; select(); }
    if (event.key === "Escape" && overview.hidden && !typing) location.hash = "";
  });
  if (rows.length === 1 && !location.hash) history.replaceState(null, "", links[0].getAttribute("href"));
  go(false);
})();

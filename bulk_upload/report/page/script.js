"use strict";
(() => {
  const PRINTED_MAX = 200;
  const SPARE_ROWS = 12;
  const count = new Intl.NumberFormat("en-US");
  const words = (state) => state.replace("_", " ");

  const bytes = (size) => {
    if (size === null) return "";
    if (size < 999.5) return `${size} B`;
    for (const unit of ["kB", "MB", "GB", "TB"]) {
      size /= 1000;
      if (size < 999.95) return `${size.toFixed(1)} ${unit}`;
    }
    return `${(size / 1000).toFixed(1)} PB`;
  };
  const moment = (seconds) =>
    seconds === null ? "" : new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");

  /* What report/page/embedded_rows.py packed. */
  function unpacked(name) {
    const rows = [];
    for (const script of document.querySelectorAll(`script[data-rows="${name}"]`)) {
      let path = "", purpose = "", reason = "";
      for (const cells of JSON.parse(script.textContent)) {
        path = path.slice(0, cells[0]) + cells[1];
        if (cells[2] !== 0) purpose = cells[2];
        const why = cells[11] ?? null;
        if (why !== null && why !== 0) reason = why;
        rows.push({
          path, purpose, state: cells[3], size: cells[4] ?? null, id: cells[5] ?? null, hash: cells[6] ?? null,
          name: cells[7] ?? path.slice(path.lastIndexOf("/") + 1), attempts: cells[8] ?? 0, when: cells[9] ?? null,
          status: cells[10] ?? null, reason: why === null ? null : reason, text: null,
        });
      }
      script.remove();
    }
    return rows;
  }

  const textOf = (row) =>
    (row.text ??= [row.path, row.id, row.hash, row.name, row.purpose, words(row.state), row.reason, row.status]
      .filter((one) => one !== null).join("\n").toLowerCase());

  const COLUMNS = {
    path: { title: "Path", text: (row) => row.path, key: (row) => row.path },
    purpose: { title: "Purpose", text: (row) => row.purpose },
    state: { title: "State", text: (row) => row.state === "failed_local" ? "failed" : words(row.state), key: (row) => row.state },
    size: { title: "Size", text: (row) => bytes(row.size), key: (row) => row.size ?? -1, number: true },
    id: { title: "File id", text: (row) => row.id ?? "" },
    tries: { title: "Attempts", text: (row) => count.format(row.attempts), key: (row) => row.attempts, number: true },
    when: { title: "Settled, UTC", text: (row) => moment(row.when), key: (row) => row.when ?? -1 },
    why: { title: "Reason", text: (row) => row.reason ?? "" },
  };

  function element(name, css, text) {
    const made = document.createElement(name);
    if (css) made.className = css;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  class Rows {
    constructor(root) {
      this.root = root;
      this.name = root.dataset.table;
      this.columns = root.dataset.columns.split(" ");
      this.all = unpacked(this.name);
      this.shown = this.all;
      this.active = 0;
      this.state = null;
      this.printing = false;
      this.box = root.querySelector(".rows");
      this.input = root.querySelector("input");
      this.output = root.querySelector("output");
      this.build();
      this.find();
    }

    build() {
      const table = element("table");
      table.setAttribute("role", "table");
      table.setAttribute("aria-label", this.root.dataset.label);
      const head = element("tr");
      head.setAttribute("role", "row");
      head.setAttribute("aria-rowindex", "1");
      for (const name of this.columns) {
        const column = COLUMNS[name];
        const cell = element("th", `${name}${column.number ? " number" : ""}`);
        cell.scope = "col";
        cell.setAttribute("role", "columnheader");
        if (column.key) {
          const button = element("button", "", column.title);
          button.type = "button";
          button.addEventListener("click", () => this.sort(name));
          cell.append(button);
        } else cell.textContent = column.title;
        head.append(cell);
      }
      this.heads = [...head.children];
      const thead = element("thead");
      thead.setAttribute("role", "rowgroup");
      thead.append(head);
      this.body = element("tbody");
      this.body.setAttribute("role", "rowgroup");
      table.append(thead, this.body);
      this.table = table;
      this.box.append(table);
      let waiting = 0;
      this.box.addEventListener("scroll", () => {
        if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; this.draw(); });
      });
      let typing = 0;
      this.input.addEventListener("input", () => {
        clearTimeout(typing);
        typing = setTimeout(() => this.find(), 60);
      });
      this.chips = [...this.root.querySelectorAll(".chips button")];
      for (const chip of this.chips) chip.addEventListener("click", () => this.choose(chip));
      this.body.addEventListener("click", (event) => {
        const row = event.target.closest("tr[data-at]");
        if (row) { this.active = Number(row.dataset.at); show(this.shown[this.active]); }
      });
      this.body.addEventListener("keydown", (event) => this.key(event));
      new ResizeObserver(() => this.draw()).observe(this.box);
      addEventListener("beforeprint", () => { this.printing = true; this.draw(); });
      addEventListener("afterprint", () => { this.printing = false; this.draw(); });
    }

    choose(chip) {
      this.state = chip.getAttribute("aria-pressed") === "true" ? null : chip.dataset.state;
      for (const one of this.chips) one.setAttribute("aria-pressed", String(one.dataset.state === this.state));
      this.find();
    }

    find() {
      const wanted = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.shown = wanted.length || this.state
        ? this.all.filter((row) => (!this.state || row.state === this.state)
            && wanted.every((word) => textOf(row).includes(word)))
        : this.all;
      if (this.sorted) this.order();
      this.output.textContent = this.shown.length === this.all.length
        ? `${count.format(this.all.length)} rows`
        : `${count.format(this.shown.length)} of ${count.format(this.all.length)} rows`;
      this.table.setAttribute("aria-rowcount", String(this.shown.length + 1));
      this.active = 0;
      this.box.scrollTop = 0;
      this.draw();
    }

    sort(name) {
      const down = this.sorted?.name === name && !this.sorted.down;
      this.sorted = { name, down };
      this.heads.forEach((head, place) => {
        if (this.columns[place] === name) head.setAttribute("aria-sort", down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      this.order();
      this.box.scrollTop = 0;
      this.draw();
    }

    order() {
      const { key } = COLUMNS[this.sorted.name];
      const sign = this.sorted.down ? -1 : 1;
      this.shown = [...this.shown].sort((one, other) => {
        const a = key(one), b = key(other);
        return a < b ? -sign : a > b ? sign : 0;
      });
    }

    draw() {
      const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
      const total = this.shown.length;
      let first = 0, last = Math.min(total, PRINTED_MAX);
      if (!this.printing) {
        first = Math.max(0, Math.floor(this.box.scrollTop / height) - SPARE_ROWS);
        last = Math.min(total, first + Math.ceil(this.box.clientHeight / height) + 2 * SPARE_ROWS);
        last = Math.max(last, Math.min(total, first + 2 * SPARE_ROWS));
      }
      const held = this.body.contains(document.activeElement);
      const rows = [];
      if (first > 0) rows.push(this.pad(first * height));
      for (let at = first; at < last; at += 1) rows.push(this.row(at));
      if (last < total && !this.printing) rows.push(this.pad((total - last) * height));
      if (last < total && this.printing) rows.push(this.say(`and ${count.format(total - last)} more`));
      if (!total) rows.push(this.say(this.all.length ? "Nothing matches." : "There are none."));
      this.body.replaceChildren(...rows);
      if (held) this.body.querySelector(`tr[data-at="${this.active}"]`)?.focus({ preventScroll: true });
    }

    /* Columns that are hidden must not come back through a cell that spans them. */
    width() { return this.heads.filter((head) => head.offsetWidth > 0).length || 1; }

    pad(height) {
      const row = element("tr", "pad");
      row.setAttribute("aria-hidden", "true");
      const cell = element("td");
      cell.colSpan = this.width();
      cell.style.height = `${height}px`;
      row.append(cell);
      return row;
    }

    say(text) {
      const row = element("tr", "empty");
      const cell = element("td", "", text);
      cell.colSpan = this.width();
      row.append(cell);
      return row;
    }

    row(at) {
      const data = this.shown[at];
      const row = element("tr");
      row.dataset.at = at;
      row.tabIndex = at === this.active ? 0 : -1;
      row.setAttribute("role", "row");
      row.setAttribute("aria-rowindex", String(at + 2));
      for (const name of this.columns) {
        const column = COLUMNS[name];
        const text = column.text(data);
        const cell = element("td", `${name}${column.number ? " number" : ""}${name === "state" ? ` tag-${data.state}` : ""}`);
        cell.setAttribute("role", "cell");
        if (name === "path") {
          /* The end of a path tells files apart: it is the beginning that gives way. */
          cell.append(element("bdi", "", text));
          cell.title = text;
        } else cell.textContent = text;
        row.append(cell);
      }
      return row;
    }

    key(event) {
      const page = Math.max(1, Math.floor(this.box.clientHeight / (this.body.querySelector("tr[data-at]")?.offsetHeight || 34)) - 2);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
      if (event.key === "Enter" || event.key === " ") show(this.shown[this.active]);
      else if (event.key in steps) this.go(Math.min(this.shown.length - 1, Math.max(0, this.active + steps[event.key])));
      else return;
      event.preventDefault();
    }

    go(at) {
      this.active = at;
      const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));
      const top = at * height;
      const room = this.box.clientHeight - this.heads[0].offsetHeight;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + height > this.box.scrollTop + room) this.box.scrollTop = top + height - room;
      this.draw();
    }
  }

  const dialog = document.querySelector("dialog");
  function show(row) {
    if (!row) return;
    const facts = [
      ["State", words(row.state)], ["File id", row.id], ["Purpose", row.purpose],
      ["Size", row.size === null ? null : `${bytes(row.size)} (${count.format(row.size)} bytes)`],
      row.hash?.startsWith("blake3:") ? ["BLAKE3", row.hash.slice(7)] : ["SHA-256", row.hash], ["Sent as", row.id === null ? null : row.name], ["Attempts", count.format(row.attempts)],
      ["HTTP status", row.status], ["Reason", row.reason], ["Settled", row.when === null ? null : `${moment(row.when)} UTC`],
    ];
    dialog.querySelector("h2").textContent = row.path;
    const list = dialog.querySelector("dl");
    list.replaceChildren();
    for (const [name, value] of facts) {
      if (value === null) continue;
      list.append(element("dt", "", name), element("dd", name === "File id" || name === "SHA-256" ? "mono" : "", String(value)));
    }
    dialog.showModal();
  }
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  const tables = [...document.querySelectorAll("[data-table]")].map((root) => new Rows(root));
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, dialog")) return;
    tables.at(-1)?.input.focus();
    event.preventDefault();
  });
  document.documentElement.dataset.ready = "true";
})();

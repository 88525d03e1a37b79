// Makes pages quicker; without it each one works all the same. Text of others only ever becomes text.
"use strict";

// Before anything is painted: the theme that somebody chose.
const chosen = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toast(text) {
  const place = document.getElementById("toast");
  if (!place) return;
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 4000);
}

// Times that say how long ago something was.
function relative(iso) {
  const seconds = Math.round((Date.now() - Date.parse(iso)) / 1000);
  if (Number.isNaN(seconds)) return "";
  const size = Math.abs(seconds);
  const unit = (divisor, name) => `${Math.floor(size / divisor)} ${name}`;
  const words = size < 60 ? unit(1, "s") : size < 3600 ? unit(60, "min") : size < 86400 ? unit(3600, "h") : size < 172800 ? "1 day" : unit(86400, "days");
  return size === 0 ? "now" : seconds < 0 ? `in ${words}` : `${words} ago`;
}
function refreshTimes() {
  for (const place of document.querySelectorAll("[data-relative]")) {
    const words = relative(place.dataset.relative);
    if (words && place.textContent !== words) place.textContent = words;
  }
}

// The live terminal of a mission: events after the last one that the page has; the browser begins anew by itself where it broke off.
function follow(terminal) {
  if (!terminal.dataset.events || terminal.dataset.over === "true") return;
  let last = Number(terminal.dataset.last) || 0;
  const source = new EventSource(`${terminal.dataset.events}?after=${last}`);
  const refresh = () => {
    if (window.htmx) htmx.ajax("GET", location.pathname, { target: "#mission", select: "#mission", swap: "outerHTML" });
  };
  source.addEventListener("event", message => {
    const number = Number(message.lastEventId);
    if (number <= last) return;
    last = number;
    const event = JSON.parse(message.data);
    const isAtEnd = terminal.scrollTop + terminal.clientHeight >= terminal.scrollHeight - 8;
    const line = document.createElement("p");
    line.className = event.tone;
    line.dataset.number = String(number);
    const time = document.createElement("time");
    time.dateTime = event.iso;
    time.textContent = event.clock;
    const text = document.createElement("span");
    text.textContent = event.text;
    line.append(time, " ", text);
    terminal.append(line);
    if (isAtEnd) terminal.scrollTop = terminal.scrollHeight;
    if (event.kind !== "said") refresh();
  });
  source.addEventListener("end", () => { source.close(); refresh(); });
  addEventListener("pagehide", () => source.close(), { once: true });
}

async function copy(button) {
  let text = button.dataset.text ?? "";
  if (button.dataset.copy === "lines") {
    const lines = [...button.closest("figure").querySelectorAll(".line:not(.caret)")];
    text = lines.map(line => line.textContent.slice(line.querySelector("i").textContent.length).replace(/\n$/, "")).join("\n");
  }
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser doesn’t let this page copy");
  }
}

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("theme")?.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("theme", theme); } catch { /* it lasts as long as the page then */ }
  });
  document.querySelectorAll("[data-events]").forEach(terminal => { terminal.scrollTop = terminal.scrollHeight; follow(terminal); });
  setInterval(refreshTimes, 10000);

  document.addEventListener("click", event => {
    const button = event.target.closest("button.copy");
    if (button) copy(button);
    for (const open of document.querySelectorAll("details.who[open], details.menu[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });

  let before = "";
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") document.querySelectorAll("details.who[open], details.menu[open]").forEach(open => { open.open = false; open.querySelector("summary").focus(); });
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      const field = document.querySelector("[data-search]");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (before === "g") {
      const link = [...document.querySelectorAll("nav [data-key]")].find(link => link.dataset.key === event.key);
      if (link) { event.preventDefault(); link.click(); }
    }
    before = event.key;
  });

  const progress = document.getElementById("progress");
  document.body.addEventListener("htmx:beforeRequest", () => progress?.classList.add("on"));
  document.body.addEventListener("htmx:afterRequest", () => progress?.classList.remove("on"));
  document.body.addEventListener("htmx:responseError", event => toast(event.detail.xhr.status === 429 ? "Too many requests: wait a moment" : "The server refused that"));
  document.body.addEventListener("htmx:sendError", () => toast("The server doesn’t answer"));
  document.body.addEventListener("htmx:configRequest", event => { event.detail.headers["x-form-token"] = document.body.dataset.formToken ?? ""; });
});

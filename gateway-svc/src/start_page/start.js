"use strict";

const POLL_MS = 2000;
const HIDDEN_POLL_MS = 30000;

const find = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");

function show(id, text, mood) {
  find(id).textContent = text;
  find(`${id}-dot`).className = `dot ${mood}`;
}

function when(time) {
  return time ? new Date(time).toLocaleString() : "";
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${count.toFixed(unit && count < 100 ? 1 : 0)} ${units[unit]}`;
}

function showRelease(status) {
  const release = status.release;
  show("release", release ? `No. ${number.format(release.number)}` : "none yet", release ? "good" : "busy");
  find("release-detail").textContent = release ? `published ${when(release.published)}` : status.reasons.join("; ");
}

function showIngest(status) {
  const ingest = status.ingest;
  const bar = find("ingest-progress");
  bar.hidden = true;
  if (!ingest) {
    show("ingest", "unknown", "bad");
    find("ingest-detail").textContent = status.ingestError || "";
    return;
  }
  const progress = ingest.progress;
  const busy = ingest.state !== "idle";
  show("ingest", ingest.state, ingest.lastError ? "bad" : busy ? "busy" : "good");
  if (busy && progress && progress.bytesToRead > 0) {
    bar.hidden = false;
    bar.value = progress.bytesRead / progress.bytesToRead;
    find("ingest-detail").textContent =
      `${number.format(progress.filesRead)} of ${number.format(progress.filesToRead)} files, ` +
      `${bytes(progress.bytesRead)} of ${bytes(progress.bytesToRead)}, ${number.format(progress.rows)} rows`;
  } else if (ingest.lastError) {
    find("ingest-detail").textContent = ingest.lastError;
  } else {
    find("ingest-detail").textContent = ingest.nextCycle ? `next cycle ${when(ingest.nextCycle)}` : "";
  }
}

async function refresh() {
  const trouble = find("trouble");
  try {
    const response = await fetch("status", { headers: { accept: "application/json" } });
    if (!response.ok) {
      throw new Error(`status ${response.status}`);
    }
    const status = await response.json();
    showRelease(status);
    showIngest(status);
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = `The gateway does not answer (${error.message}).`;
    trouble.hidden = false;
  }
  setTimeout(refresh, document.hidden ? HIDDEN_POLL_MS : POLL_MS);
}

refresh();

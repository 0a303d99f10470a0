// Script and style of the page. Plain text, as the browser gets it: no build step.
#include "agent/daemon/page.hpp"

namespace omnitide::daemon {

const std::string_view kPageStyle = R"css(
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d0d7de; --dim: #59636e;
  --good: #1a7f37; --warn: #9a6700; --bad: #cf222e; --a: #0969da; --b: #bf3989; --c: #1a7f37; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --line: #30363d; --dim: #9198a1;
  --good: #3fb950; --warn: #d29922; --bad: #f85149; --a: #58a6ff; --b: #f778ba; --c: #3fb950; } }
body { margin: 0 auto; max-width: 76rem; padding: 0 1rem 2rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 1rem 0 0; font-size: 1.6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; }
p { margin: .2rem 0; }
a { color: var(--a); }
table { border-collapse: collapse; width: 100%; margin-bottom: .8rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; }
.on, .forwarded td:nth-child(2), .on td:nth-child(2) { color: var(--good); }
.degraded td:nth-child(2), .starting td:nth-child(2), .audit td:nth-child(2) { color: var(--warn); }
.failed, .dropped td:nth-child(2), .failed td:nth-child(2) { color: var(--bad); }
.off { color: var(--dim); }
#charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 .8rem; font-size: .9rem; }
figcaption b { flex-basis: 100%; }
canvas { display: block; width: 100%; height: 6rem; }
.s0 { color: var(--a); } .s1 { color: var(--b); } .s2 { color: var(--c); }
)css";

const std::string_view kPageScript = R"js('use strict';
(() => {
  const every = 2000, kept = 150;
  const wanted = ['cpu', 'meminfo', 'pressure', 'netdev', 'diskstats', 'netstat', 'ebpf.runq', 'ebpf.block',
    'ebpf.drops', 'ebpf.tcp'];
  const there = (document.body.dataset.collectors || '').split(' ');
  const query = wanted.filter((name) => there.includes(name)).map((name) => 'collect[]=' + name).join('&');

  // Text 0.0.4 -> Map of name -> list of [labels as text, value].
  const parse = (text) => {
    const out = new Map();
    for (const line of text.split('\n')) {
      if (!line || line[0] === '#') continue;
      const blank = line.lastIndexOf(' ');
      const series = line.slice(0, blank), brace = series.indexOf('{');
      const name = brace < 0 ? series : series.slice(0, brace);
      if (!out.has(name)) out.set(name, []);
      out.get(name).push([brace < 0 ? '' : series.slice(brace), Number(line.slice(blank + 1))]);
    }
    return out;
  };
  const label = (labels, name) => {
    const found = labels.match('[{,]' + name + '="((?:[^"\\\\]|\\\\.)*)"');
    return found ? found[1] : '';
  };
  const sum = (set, name, keep) =>
    (set.get(name) || []).reduce((all, [labels, value]) => !keep || keep(labels) ? all + value : all, 0);
  const gauge = (set, name) => (set.get(name) || [['', NaN]])[0][1];
  const has = (set, name) => set.has(name);

  // Growth a second; nothing when the counter began anew.
  const rate = (name, keep) => (now, old, seconds) => {
    if (!has(now, name) || !has(old, name)) return NaN;
    const grown = sum(now, name, keep) - sum(old, name, keep);
    return grown < 0 ? NaN : grown / seconds;
  };
  const quantile = (name, q) => (now, old) => {
    if (!has(now, name + '_bucket')) return NaN;
    const buckets = new Map();
    const add = (set, sign) => {
      for (const [labels, value] of set.get(name + '_bucket') || []) {
        const le = Number(label(labels, 'le').replace('+Inf', 'Infinity'));
        buckets.set(le, (buckets.get(le) || 0) + sign * value);
      }
    };
    add(now, 1);
    add(old, -1);
    const sorted = [...buckets].sort((a, b) => a[0] - b[0]);
    const all = sorted.length ? sorted[sorted.length - 1][1] : 0;
    if (!(all > 0)) return 0;
    let below = 0, from = 0;
    for (const [le, count] of sorted) {
      if (count >= q * all && count > below)
        return le === Infinity ? from : from + (le - from) * (q * all - below) / (count - below);
      below = count;
      from = le;
    }
    return from;
  };
  const idle = (labels) => ['idle', 'iowait'].includes(label(labels, 'mode'));
  const cpu = (now, old) => {
    const all = sum(now, 'node_cpu_seconds_total') - sum(old, 'node_cpu_seconds_total');
    const free = sum(now, 'node_cpu_seconds_total', idle) - sum(old, 'node_cpu_seconds_total', idle);
    return all > 0 ? 1 - free / all : NaN;
  };
  const memory = (set) =>
    1 - gauge(set, 'node_memory_MemAvailable_bytes') / gauge(set, 'node_memory_MemTotal_bytes');
  const outside = (labels) => label(labels, 'device') !== 'lo';
  const drops = 'omnitide_network_dropped_packets_total';
  const retransmits = (now, old, seconds) =>
    rate(has(now, 'omnitide_tcp_retransmits_total') ? 'omnitide_tcp_retransmits_total'
      : 'node_netstat_Tcp_RetransSegs')(now, old, seconds);

  const percent = (v) => (v * 100).toFixed(1) + ' %';
  const scaled = (v, base, units) => {
    let i = 0;
    while (v >= base && i < units.length - 1) { v /= base; i += 1; }
    return (v < 10 && v > 0 ? v.toFixed(1) : v.toFixed(0)) + units[i];
  };
  const bytes = (v) => scaled(v, 1024, [' B/s', ' KiB/s', ' MiB/s', ' GiB/s']);
  const count = (v) => scaled(v, 1000, ['/s', 'k/s', 'M/s']);
  const time = (v) => v < 1 ? scaled(v * 1e6, 1000, [' us', ' ms']) : v.toFixed(1) + ' s';

  const charts = [
    { title: 'CPU and memory', show: percent, top: 1, series: [['CPU', cpu], ['memory', memory]] },
    { title: 'Pressure: share of time that tasks waited', show: percent, series: [
      ['CPU', rate('node_pressure_cpu_waiting_seconds_total')],
      ['I/O', rate('node_pressure_io_waiting_seconds_total')],
      ['memory', rate('node_pressure_memory_waiting_seconds_total')]] },
    { title: 'Network', show: bytes, series: [
      ['in', rate('node_network_receive_bytes_total', outside)],
      ['out', rate('node_network_transmit_bytes_total', outside)]] },
    { title: 'Disks', show: bytes, series: [
      ['read', rate('node_disk_read_bytes_total')], ['written', rate('node_disk_written_bytes_total')]] },
    { title: 'Waits, 99 of 100 are shorter', show: time, series: [
      ['run queue', quantile('omnitide_scheduler_wait_seconds', 0.99)],
      ['block I/O', quantile('omnitide_block_io_latency_seconds', 0.99)]] },
    { title: 'Trouble', show: count, series: [
      ['TCP retransmits', retransmits], ['packets dropped', rate(drops)]] },
  ];

  const element = (name, parent, text) => {
    const out = document.createElement(name);
    if (text !== undefined) out.textContent = text;
    parent.appendChild(out);
    return out;
  };
  for (const chart of charts) {
    const figure = element('figure', document.getElementById('charts'));
    const caption = element('figcaption', figure);
    element('b', caption, chart.title);
    chart.legends = chart.series.map(([name], i) => {
      const out = element('span', caption, name);
      out.className = 's' + i;
      return out;
    });
    chart.canvas = element('canvas', figure);
    chart.canvas.setAttribute('role', 'img');
    chart.canvas.setAttribute('aria-label', chart.title);
    chart.values = chart.series.map(() => []);
  }

  const draw = (chart) => {
    const canvas = chart.canvas, scale = window.devicePixelRatio || 1;
    const width = canvas.width = Math.round(canvas.clientWidth * scale);
    const height = canvas.height = Math.round(canvas.clientHeight * scale);
    const to = canvas.getContext('2d');
    const most = chart.top || Math.max(1e-9, ...chart.values.flat().filter(Number.isFinite)) * 1.1;
    chart.values.forEach((values, i) => {
      to.strokeStyle = getComputedStyle(chart.legends[i]).color;
      to.lineWidth = 1.5 * scale;
      to.beginPath();
      let pen = false;
      values.forEach((value, at) => {
        if (!Number.isFinite(value)) { pen = false; return; }
        const x = width * (1 - (values.length - 1 - at) / (kept - 1));
        const y = height - scale - (height - 3 * scale) * Math.min(1, value / most);
        pen ? to.lineTo(x, y) : to.moveTo(x, y);
        pen = true;
      });
      to.stroke();
      const last = values[values.length - 1];
      chart.legends[i].textContent = chart.series[i][0] + ' ' + (Number.isFinite(last) ? chart.show(last) : '-');
    });
    canvas.dataset.points = chart.values[0].length;
  };

  const fill = (id, rows, css) => {
    const table = document.getElementById(id);
    if (!table) return;
    const body = document.createElement('tbody');
    for (const cells of rows) {
      const row = element('tr', body);
      row.className = css(cells);
      for (const cell of cells) element('td', row, cell);
    }
    table.replaceChild(body, table.tBodies[0]);
  };
  const say = (good, text) => {
    const ready = document.getElementById('ready');
    ready.textContent = text;
    ready.className = good ? 'on' : 'failed';
  };

  let old = null, taken = 0;
  const metrics = async () => {
    const answer = await fetch('/metrics?' + query, { headers: { Accept: 'text/plain' } });
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    const now = parse(await answer.text()), at = performance.now();
    if (old) {
      const seconds = (at - taken) / 1000;
      for (const chart of charts) {
        chart.series.forEach(([, value], i) => {
          chart.values[i].push(value(now, old, seconds));
          if (chart.values[i].length > kept) chart.values[i].shift();
        });
        draw(chart);
      }
    }
    old = now;
    taken = at;
  };
  const state = async () => {
    const answer = await fetch('/page/state');
    if (!answer.ok) throw new Error('HTTP ' + answer.status);
    const now = await answer.json();
    say(now.ready, now.ready ? 'ready' : 'not ready: ' + now.notReadyBecause);
    fill('parts', now.parts, (cells) => cells[1]);
    fill('flows', now.flows, (cells) => cells[1].toLowerCase());
  };
  const turn = async () => {
    if (!document.hidden) {
      try {
        await metrics();
        await state();
      } catch (problem) {
        say(false, 'no answer from the agent');
      }
    }
    setTimeout(turn, every);
  };
  turn();
})();
)js";

}  // namespace omnitide::daemon

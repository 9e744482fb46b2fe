// The mesh of a page: its surface, or that of the cells which a cut and a range of values leave.
"use strict";
const $ = (id) => document.getElementById(id);

const VERTEX = `#version 300 es
in vec3 position; in vec2 corner; in float value; in float cell;
uniform mat4 model, projection;
out vec3 seen; out vec2 at; out float shade; flat out highp int id;
void main() {
  vec4 p = model * vec4(position, 1.0);
  seen = p.xyz; at = corner; shade = value; id = int(cell);
  gl_Position = projection * p;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec3 seen; in vec2 at; in float shade; flat in highp int id;
uniform sampler2D colours; uniform bool edges, picking;
out vec4 colour;
void main() {
  if (picking) {
    int n = id + 1;
    colour = vec4(float(n & 255), float((n >> 8) & 255), float((n >> 16) & 255), 255.0) / 255.0;
    return;
  }
  vec3 normal = normalize(cross(dFdx(seen), dFdy(seen)));
  float light = 0.55 + 0.45 * abs(dot(normal, normalize(vec3(0.3, 0.5, 1.0))));
  // cells without a value are grey, as in the pictures
  vec3 base = shade < 0.0 ? vec3(0.75, 0.79, 0.83) : texture(colours, vec2(shade, 0.5)).rgb;
  if (edges) {
    vec2 near = min(at, 1.0 - at) / fwidth(at);
    base *= mix(0.35, 1.0, smoothstep(0.0, 1.3, min(near.x, near.y)));
  }
  colour = vec4(base * light, 1.0);
}`;

async function unpacked(text, type) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new type(await new Response(stream).arrayBuffer());
}

async function start() {
  const data = JSON.parse($("data").textContent);
  const points = await unpacked(data.points, Float32Array);
  const facets = await unpacked(data.facets, Uint32Array);
  const sides = await unpacked(data.sides, Int32Array);
  const middles = await unpacked(data.middles, Float32Array);
  for (const field of data.fields) field.values = await unpacked(field.packed, Float32Array);
  const n = middles.length / 3, faces = facets.length / 4;

  const gl = $("canvas").getContext("webgl2", { preserveDrawingBuffer: true });
  if (!gl) {
    $("note").textContent = "this browser has no WebGL 2, which the picture needs";
    return;
  }
  const program = twgl.createProgramInfo(gl, [VERTEX, FRAGMENT]);
  const scale = await unpacked(data.colours, Uint8Array);
  const colours = twgl.createTexture(gl, {
    src: scale, width: 256, height: 1, format: gl.RGB,
    min: gl.LINEAR, mag: gl.LINEAR, wrap: gl.CLAMP_TO_EDGE,
  });

  // the box of the mesh
  const low = [0, 1, 2].map((k) => points.reduce((m, x, i) => (i % 3 === k && x < m ? x : m), Infinity));
  const high = [0, 1, 2].map((k) => points.reduce((m, x, i) => (i % 3 === k && x > m ? x : m), -Infinity));
  const centre = low.map((x, k) => (x + high[k]) / 2);
  const size = Math.hypot(...low.map((x, k) => high[k] - x)) || 1;
  const camera = { azimuth: data.plane ? 0 : -0.6, elevation: data.plane ? 0 : 0.5, zoom: 1, x: 0, y: 0 };

  let buffer = null, drawn = { faces: 0, cells: n }, limits = [0, 1], bins = [];

  const field = () => data.fields[$("field").value];
  const scaled = (x) => (field().log ? Math.log10(Math.max(x, 1e-300)) : x);
  const words = (x) => (!isFinite(x) ? "-" : x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5) ? x.toExponential(1)
    : String(+x.toPrecision(4)));

  function measure() {
    // limits of the values, and the histogram
    let least = Infinity, most = -Infinity;
    for (const x of field().values) if (isFinite(x)) { const s = scaled(x); if (s < least) least = s; if (s > most) most = s; }
    if (least > most) [least, most] = [0, 1];
    limits = [least, most];
    bins = new Array(40).fill(0);
    for (const x of field().values) if (isFinite(x)) bins[Math.min(39, Math.floor(share(x) * 40))]++;
  }
  const share = (x) => (limits[1] > limits[0] ? (scaled(x) - limits[0]) / (limits[1] - limits[0]) : 0.5);

  function kept() {
    const axis = $("axis").selectedIndex, flip = $("flip").checked;
    const at = low[axis] + ((high[axis] - low[axis]) * $("cut").value) / 1000;
    const whole = +$("cut").value === 1000 && !flip, all = +$("from").value === 0 && +$("to").value === 1000;
    const from = $("from").value / 1000, to = $("to").value / 1000, values = field().values;
    const keep = new Uint8Array(n);
    let count = 0;
    for (let i = 0; i < n; i++) {
      const beside = whole || middles[3 * i + axis] <= at !== flip;
      const s = all ? 0 : share(values[i]);
      if (beside && (all || (s >= from - 1e-9 && s <= to + 1e-9))) { keep[i] = 1; count++; }
    }
    drawn.cells = count;
    return keep;
  }

  function build() {
    // the surface of what is kept: faces with one kept cell
    const keep = kept(), shown = [];
    for (let f = 0; f < faces; f++) {
      const a = sides[2 * f], b = sides[2 * f + 1], inA = keep[a] === 1, inB = b >= 0 && keep[b] === 1;
      if (inA !== inB) shown.push(f, inA ? a : b);
    }
    const m = shown.length / 2, values = field().values, order = [0, 1, 2, 0, 2, 3];
    const position = new Float32Array(18 * m), corner = new Float32Array(12 * m);
    const value = new Float32Array(6 * m), cell = new Float32Array(6 * m);
    for (let k = 0; k < m; k++) {
      const f = shown[2 * k], c = shown[2 * k + 1], x = values[c], v = isFinite(x) ? share(x) : -1;
      for (let j = 0; j < 6; j++) {
        const q = order[j], p = facets[4 * f + q];
        for (let d = 0; d < 3; d++) position[18 * k + 3 * j + d] = (points[3 * p + d] - centre[d]) / size;
        corner[12 * k + 2 * j] = q === 1 || q === 2 ? 1 : 0;
        corner[12 * k + 2 * j + 1] = q >= 2 ? 1 : 0;
        value[6 * k + j] = v;
        cell[6 * k + j] = c;
      }
    }
    if (buffer) for (const name of Object.keys(buffer.attribs)) gl.deleteBuffer(buffer.attribs[name].buffer);
    drawn.faces = m;
    buffer = m ? twgl.createBufferInfoFromArrays(gl, {
      position: { numComponents: 3, data: position }, corner: { numComponents: 2, data: corner },
      value: { numComponents: 1, data: value }, cell: { numComponents: 1, data: cell },
    }) : null;
    draw();
  }

  function draw(picking = false) {
    twgl.resizeCanvasToDisplaySize(gl.canvas, window.devicePixelRatio);
    gl.viewport(0, 0, gl.canvas.width, gl.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    if (!buffer) return;
    const m4 = twgl.m4, aspect = gl.canvas.width / gl.canvas.height;
    const projection = m4.perspective(0.6, aspect, 0.05, 50);
    let model = m4.translation([camera.x, camera.y, -2.1 / camera.zoom / Math.min(1, aspect)]);
    model = m4.rotateX(model, camera.elevation);
    // z is up
    if (!data.plane) model = m4.rotateX(model, -Math.PI / 2);
    model = m4.rotateZ(model, data.plane ? 0 : camera.azimuth);
    if (data.plane) model = m4.rotateY(model, camera.azimuth);
    gl.useProgram(program.program);
    twgl.setBuffersAndAttributes(gl, program, buffer);
    twgl.setUniforms(program, { model, projection, colours, edges: $("edges").checked, picking });
    twgl.drawBufferInfo(gl, buffer);
    $("note").textContent = note;
  }

  let note = "drag to turn, wheel to come nearer, shift and drag to move, click a cell for its values";

  function pick(event) {
    const box = gl.canvas.getBoundingClientRect(), ratio = gl.canvas.width / box.width, pixel = new Uint8Array(4);
    draw(true);
    const y = gl.canvas.height - 1 - Math.floor((event.clientY - box.top) * ratio);
    gl.readPixels(Math.floor((event.clientX - box.left) * ratio), y, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    const cell = pixel[0] + 256 * pixel[1] + 65536 * pixel[2] - 1;
    if (cell >= 0) note = [`element ${cell}`, ...data.fields.map((f) => `${f.name}: ${words(f.values[cell])}`)].join("\n");
    draw();
    return cell;
  }

  function histogram() {
    const canvas = $("histogram"), pen = canvas.getContext("2d"), most = Math.max(...bins, 1);
    canvas.width = canvas.clientWidth * devicePixelRatio;
    canvas.height = canvas.clientHeight * devicePixelRatio;
    const wide = canvas.width / bins.length, from = $("from").value / 1000, to = $("to").value / 1000;
    bins.forEach((count, k) => {
      pen.fillStyle = `rgb(${scale.slice(3 * Math.floor(k * 6.4 + 3.2), 3 * Math.floor(k * 6.4 + 3.2) + 3).join()})`;
      // counts differ by decades: heights are those of their logarithms
      const tall = count ? (canvas.height - 14 * devicePixelRatio) * Math.log(1 + count) / Math.log(1 + most) : 0;
      pen.globalAlpha = (k + 1) / 40 > from && k / 40 < to ? 1 : 0.25;
      pen.fillRect(k * wide, canvas.height - tall, wide - 1, tall);
    });
    pen.globalAlpha = 1;
    pen.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    pen.fillStyle = getComputedStyle(document.body).color;
    pen.fillText(`elements, most ${most.toLocaleString("en")}, logarithmic`, 0, 11 * devicePixelRatio);
    const back = (s) => (field().log ? 10 ** s : s);
    $("low").textContent = words(back(limits[0]));
    $("high").textContent = words(back(limits[1]));
  }

  function refresh() { measure(); histogram(); build(); }

  data.fields.forEach((f, k) => $("field").add(new Option(f.name, k)));
  $("field").onchange = () => { $("from").value = 0; $("to").value = 1000; refresh(); };
  for (const name of ["axis", "cut", "flip"]) $(name).oninput = build;
  for (const name of ["from", "to"]) $(name).oninput = () => { histogram(); build(); };
  $("edges").oninput = () => draw();
  $("reset").onclick = () => {
    $("cut").value = 1000; $("flip").checked = false; $("from").value = 0; $("to").value = 1000;
    camera.zoom = 1; camera.x = camera.y = 0;
    refresh();
  };

  let held = null, moved = 0;
  const canvas = $("canvas");
  canvas.onpointerdown = (e) => { held = [e.clientX, e.clientY]; moved = 0; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = (e) => { held = null; if (moved < 4) pick(e); };
  canvas.onpointermove = (e) => {
    if (!held) return;
    const dx = e.clientX - held[0], dy = e.clientY - held[1];
    held = [e.clientX, e.clientY];
    moved += Math.abs(dx) + Math.abs(dy);
    if (e.shiftKey) { camera.x += dx / 700 / camera.zoom; camera.y -= dy / 700 / camera.zoom; }
    else { camera.azimuth += dx / 150; camera.elevation += dy / 150; }
    draw();
  };
  canvas.onwheel = (e) => { e.preventDefault(); camera.zoom *= Math.exp(-e.deltaY / 600); draw(); };
  canvas.onkeydown = (e) => {
    const turn = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[e.key];
    if (turn) { camera.azimuth += turn[0]; camera.elevation += turn[1]; }
    else if (e.key === "+") camera.zoom *= 1.1;
    else if (e.key === "-") camera.zoom /= 1.1;
    else return;
    e.preventDefault();
    draw();
  };
  window.onresize = () => { draw(); histogram(); };
  refresh();
  window.meshView = { drawn, camera, draw, pick, limits: () => limits, bins: () => bins };
}

start().catch((error) => { $("note").textContent = `the page cannot be shown: ${error}`; throw error; });

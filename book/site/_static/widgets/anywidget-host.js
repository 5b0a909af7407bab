// Shows stored anywidgets in a page without a kernel: from the page alone, over http or from a disk.
//
// A page holds the state of all its widgets and, in each place where one is shown, a script that names its model. A
// model here keeps values and tells those who listen to it; nobody is told elsewhere, for there is no kernel.
(() => {
  const KIND = "application/vnd.jupyter.widget-";
  const NEEDS_KERNEL = "This control needs a running kernel: open the chapter in JupyterLab.";

  function bytesOf({ data, encoding }) {
    const codes = encoding === "hex" ? (data.match(/../g) ?? []).map((pair) => parseInt(pair, 16)) : atob(data);
    return new DataView(
      Uint8Array.from(codes, (code) => (typeof code === "string" ? code.charCodeAt(0) : code)).buffer,
    );
  }

  // The values of a model, with its bytes in their places.
  function valuesOf(stored) {
    const values = structuredClone(stored.state);
    for (const buffer of stored.buffers ?? []) {
      const last = buffer.path.at(-1);
      const holder = buffer.path.slice(0, -1).reduce((within, step) => within[step], values);
      holder[last] = bytesOf(buffer);
    }
    return values;
  }

  class Model {
    #values;
    #listeners = [];
    constructor(values, find) {
      this.#values = values;
      this.widget_manager = { get_model: async (reference) => find(reference.replace(/^IPY_MODEL_/, "")) };
    }
    get(name) {
      return this.#values[name];
    }
    set(name, value) {
      const changes = typeof name === "string" ? { [name]: value } : name;
      const differ = Object.keys(changes).filter((key) => this.#values[key] !== changes[key]);
      Object.assign(this.#values, changes);
      for (const key of differ) this.#tell(`change:${key}`, changes[key]);
      if (differ.length) this.#tell("change");
    }
    #tell(event, value) {
      for (const listener of this.#listeners.filter((one) => one.event === event)) listener.callback(this, value);
    }
    on(events, callback) {
      for (const event of events.trim().split(/\s+/)) this.#listeners.push({ event, callback });
    }
    off(events, callback) {
      const named = events?.trim().split(/\s+/);
      const stays = (one) => (named && !named.includes(one.event)) || (callback && callback !== one.callback);
      this.#listeners = this.#listeners.filter(stays);
    }
    save_changes() {}
    send() {}
  }

  // One import for all widgets with the same code; a module keeps nothing of a widget.
  const modules = new Map();
  function moduleOf(code) {
    if (!modules.has(code)) {
      const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      modules.set(
        code,
        import(address).finally(() => URL.revokeObjectURL(address)),
      );
    }
    return modules.get(code);
  }

  const styled = new Set();
  function addStyle(text) {
    if (!text || styled.has(text)) return;
    styled.add(text);
    const style = document.createElement("style");
    style.textContent = text;
    document.head.append(style);
  }

  async function show(model, place) {
    addStyle(model.get("_css"));
    const found = (await moduleOf(model.get("_esm"))).default;
    const definition = typeof found === "function" ? await found() : found;
    const { signal } = new AbortController();
    if (!model.started) model.started = Promise.resolve(definition.initialize?.({ model, signal }));
    await model.started;
    await definition.render?.({ model, el: place, signal });
  }

  function main() {
    const scripts = (kind) => [...document.querySelectorAll(`script[type="${KIND}${kind}+json"]`)];
    const stored = Object.assign({}, ...scripts("state").map((script) => JSON.parse(script.textContent).state));
    const models = new Map();
    const find = (id) => {
      const wanted = stored[id];
      if (wanted?.model_module !== "anywidget") return null;
      if (!models.has(id)) models.set(id, new Model(valuesOf(wanted), find));
      return models.get(id);
    };
    for (const script of scripts("view")) {
      const place = document.createElement("div"),
        model = find(JSON.parse(script.textContent).model_id);
      script.after(place);
      const failed = (error) => {
        place.textContent = `This widget could not be shown: ${error.message}`;
        console.error(error);
      };
      if (model) show(model, place).catch(failed);
      else place.textContent = NEEDS_KERNEL;
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", main);
  else main();
})();

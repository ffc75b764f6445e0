// The modules of one run: asked of the server, linked, evaluated (spec 04 section 4).
//
// The entry is imported by a module of our own, which is evaluated at once after it, unless it
// awaits something at its top level, which is unsupported.
import vm from "node:vm";
import { ask, quit } from "./wire.js";

const CODE_MAX = 8 << 20; // of sources and compiled code, for later runs

export class Graph {
  #context;
  #inside;
  #code; // source hash -> { source, data }, most recently used last
  #dynamic;
  #modules = new Map();
  #wrapper;
  loading = 0; // dynamic imports under way
  failed = false;
  error;
  constructor(context, inside, code, dynamic) {
    this.#context = context;
    this.#inside = inside;
    this.#code = code;
    this.#dynamic = dynamic;
  }
  // False: a module could not be loaded; the server knows why.
  async link(entry) {
    const inside = this.#inside;
    this.#wrapper = new vm.SourceTextModule('import * as entry from "entry"; import.meta.imported(entry);', {
      context: this.#context,
      identifier: "convex:/_system/entry.js",
      initializeImportMeta: (meta) => inside.giveImported(meta),
    });
    try {
      await this.#wrapper.link((name, referrer) => {
        const own = referrer === this.#wrapper;
        return this.#load(own ? "" : referrer.identifier, own ? entry : name);
      });
      return true;
    } catch (e) {
      if (e === unloaded) {
        return false;
      }
      this.#fail(e); // syntax, or an import that its module does not export
      return true;
    }
  }
  // No error of this realm may reach the context.
  #outside(e) {
    if (e === unloaded) {
      return this.#inside.error("TypeError", unloadedText());
    }
    return e instanceof Error ? this.#inside.error("Error", String(e.message)) : e;
  }
  #fail(error) {
    this.failed = true;
    this.error = error;
  }
  evaluate() {
    if (this.failed) {
      return;
    }
    this.#wrapper.evaluate().catch(() => {});
    if (this.#wrapper.status === "errored") {
      this.#fail(this.#wrapper.error);
    }
  }
  #load(base, name) {
    const found = JSON.parse(ask(JSON.stringify({ t: "module", base, name })).text);
    if (found.failed) {
      throw unloaded;
    }
    let module = this.#modules.get(found.specifier);
    if (module === undefined) {
      module = this.#compile(found);
      this.#modules.set(found.specifier, module);
    }
    return module;
  }
  #compile({ specifier, hash }) {
    const known = this.#code.get(hash);
    const source = known?.source ?? ask(JSON.stringify({ t: "source", specifier })).bytes.toString();
    // Compiled code remembers the first module made of it, and with that whom import() asks.
    const shared = !source.includes("import(");
    const module = new vm.SourceTextModule(source, {
      context: this.#context,
      identifier: specifier,
      cachedData: shared ? known?.data : undefined,
      initializeImportMeta: (meta) => this.#inside.spoilMeta(meta),
      importModuleDynamically: (name) => this.#import(specifier, name),
    });
    this.#keep(hash, known ?? { source, data: module.createCachedData() });
    return module;
  }
  #keep(hash, code) {
    this.#code.delete(hash);
    this.#code.set(hash, code);
    let bytes = 0;
    for (const { source, data } of this.#code.values()) {
      bytes += source.length + data.length;
    }
    for (const [key, { source, data }] of this.#code) {
      if (bytes <= CODE_MAX || key === hash) {
        break;
      }
      bytes -= source.length + data.length;
      this.#code.delete(key);
    }
  }
  async #import(base, name) {
    if (!this.#dynamic || !this.#inside.executing()) {
      throw this.#inside.error("TypeError", "dynamic module import unsupported");
    }
    this.loading++;
    try {
      const module = this.#load(base, name);
      if (module.status === "unlinked") {
        await module.link((inner, referrer) => this.#load(referrer.identifier, inner));
      }
      await module.evaluate();
      return module;
    } catch (e) {
      throw this.#outside(e);
    } finally {
      this.loading--;
    }
  }
}

const unloaded = Symbol("unloaded");

function unloadedText() {
  return JSON.parse(ask('{"t":"whyunloaded"}').text).text ?? quit(70);
}

// Convex.syscall and Convex.asyncSyscall (spec 04 section 1.1): performed by the server.  In queries
// and mutations an asynchronous one is performed when it is called, and its promise hears of that
// when all jobs are done, as in src/isolate/jobs.c; what module evaluation issues waits until the
// run executes.  Convex.jsSyscall is the prelude's.
const { apply } = Reflect;
const { parse } = JSON;
const { then } = Promise.prototype;
const { isWellFormed } = String.prototype;
const NativePromise = Promise;
const NativeError = Error;
const BATCH = 16;

export function newConvex(bridge, state, ops) {
  function failure({ message, data }) {
    const error = new NativeError(message);
    if (data !== undefined) {
      error.data = parse(data);
    }
    return error;
  }
  function perform(t, name, args) {
    const asked = { __proto__: null, t, name: `${name}`, args: `${args}` };
    if (!apply(isWellFormed, asked.name, []) || !apply(isWellFormed, asked.args, [])) {
      throw new NativeError("Received invalid json: lone surrogate in a string");
    }
    const answer = bridge.ask(asked);
    if (answer.ok === undefined) {
      throw failure(answer);
    }
    return answer.ok;
  }
  const answers = { __proto__: null };
  let told = 0;
  let answered = 0;
  function answer(name, args) {
    const read = `${name}` === "1.0/get" || `${name}` === "1.0/queryStreamNext";
    return new NativePromise((resolve, reject) => {
      let tell;
      try {
        const result = perform("asyncsyscall", name, args);
        tell = () => resolve(result);
      } catch (e) {
        tell = () => reject(e);
      }
      answers[answered++] = { __proto__: null, tell, read };
    });
  }
  // Settles the promises of the next operations; false: there are none.
  state.tell = () => {
    if (told === answered) {
      return false;
    }
    let n = 0;
    let read;
    do {
      const next = answers[told];
      delete answers[told++];
      read = next.read;
      next.tell();
    } while (++n < BATCH && read && answers[told]?.read);
    return true;
  };
  const arity = (what) => bridge.call("end", `{"t":"arity","what":"${what}"}`);
  const methods = {
    syscall(name, args) {
      if (arguments.length !== 2) {
        arity("syscall");
      }
      return perform("syscall", name, args);
    },
    asyncSyscall(name, args) {
      if (arguments.length !== 2) {
        arity("asyncSyscall");
      }
      if (state.action) {
        return ops.syscall(`${name}`, `${args}`);
      }
      if (!state.executing) {
        const later = new NativePromise((resolve) => resolve());
        return apply(then, later, [() => perform("asyncsyscall", name, args)]);
      }
      return answer(name, args);
    },
  };
  return { syscall: methods.syscall, asyncSyscall: methods.asyncSyscall };
}

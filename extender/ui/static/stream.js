// The extender's stream: a line of JSON for each change. An EventSource would send no token.

const silence = 15e3; // the extender says something every 5 s

// follow reads it for ever, connecting anew where it ends; again connects at once.
export function follow({ path, headers, take, connection, unauthorized }) {
  let wake = () => {}, wait = 500;

  async function read() {
    const abort = new AbortController();
    let last = setTimeout(() => abort.abort(), silence);
    const heard = () => {
      clearTimeout(last);
      last = setTimeout(() => abort.abort(), silence);
    };
    try {
      const answer = await fetch(path, { headers: headers(), cache: "no-store", signal: abort.signal });
      if (answer.status === 401) return "token";
      if (!answer.ok) throw new Error(`${answer.status}: ${(await answer.text()).slice(0, 300)}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ;) {
        const { done, value } = await reader.read();
        if (done) return "ended";
        heard();
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) {
          take(JSON.parse(line));
          connection(true, "live");
          wait = 500;
        }
      }
    } finally {
      clearTimeout(last);
      abort.abort();
    }
  }

  async function forever() {
    for (;;) {
      let why = "the extender ended the stream";
      try {
        if (await read() === "token") {
          connection(false, "a token is needed");
          unauthorized();
          await new Promise((resolve) => { wake = resolve; });
          continue;
        }
      } catch (e) {
        why = e.name === "AbortError" ? "nothing was heard of the extender" : e.message;
      }
      connection(false, `not connected: ${why}; what is shown is old`);
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, wait);
      });
      wait = Math.min(wait * 2, 10e3);
    }
  }

  forever();
  return { again: () => wake() };
}

import { type FormEvent, useState } from "react";
import { useConvexConnectionState, useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { api } from "../convex/_generated/api";

const author = new URLSearchParams(location.search).get("as") ?? "someone";

export function Chat() {
  const [channel, setChannel] = useState("general");
  const [text, setText] = useState("");
  const counts = useQuery(api.messages.counts);
  const { results, status, loadMore } = usePaginatedQuery(
    api.messages.list,
    { channel },
    { initialNumItems: 10 },
  );
  const { isWebSocketConnected } = useConvexConnectionState();

  // The message shows at once and is replaced by the server's when that arrives.
  const send = useMutation(api.messages.send).withOptimisticUpdate((store, args) => {
    const current = store.getQuery(api.messages.counts, {});
    if (current) {
      store.setQuery(api.messages.counts, {}, {
        ...current,
        [args.channel]: (current[args.channel] ?? 0) + 1,
      });
    }
  });

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (text === "") return;
    setText("");
    await send({ channel, author, body: text });
  }

  return (
    <main>
      <h1>Chat</h1>
      <p id="state">{isWebSocketConnected ? "connected" : "connecting"}</p>
      <nav>
        {["general", "random"].map((name) => (
          <button key={name} disabled={name === channel} onClick={() => setChannel(name)}>
            #{name} <span id={`count-${name}`}>{counts?.[name] ?? 0}</span>
          </button>
        ))}
      </nav>
      <ul id="messages">
        {results.map((message) => (
          <li key={message._id}>
            <b>{message.author}</b>: {message.body}
          </li>
        ))}
      </ul>
      {status === "CanLoadMore" && (
        <button id="more" onClick={() => loadMore(10)}>
          Older messages
        </button>
      )}
      <form onSubmit={submit}>
        <input id="text" value={text} onChange={(event) => setText(event.target.value)} />
        <button id="send">Send</button>
      </form>
    </main>
  );
}

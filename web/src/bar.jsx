import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { hint } from "./hint.js";
import { streams } from "./streams.js";
import { withPrepared } from "./tabs.js";
import { token } from "./token.js";

function useObservable({ subscribe, get }) {
  return useSyncExternalStore(subscribe, get);
}

/** The bar above GraphiQL: token, running subscriptions, button for the prepared tabs, hint. */
export function Bar() {
  const count = useObservable(streams.count);
  return (
    <>
      <div className="bar-row">
        <h1>Rollcall</h1>
        <TokenField />
        <span className="bar-live" role="status" hidden={count === 0}>
          {count === 1 ? "1 subscription" : `${count} subscriptions`}
        </span>
        <PreparedTabs />
      </div>
      <Hint />
    </>
  );
}

function TokenField() {
  const current = useObservable(token);
  const [text, setText] = useState(current);
  const [shown, setShown] = useState(false);
  useEffect(() => setText(current), [current]);
  const apply = () => token.set(text.trim());
  const submit = (event) => {
    event.preventDefault();
    apply();
  };
  return (
    <form className="bar-token" onSubmit={submit}>
      <label htmlFor="token">Token</label>
      <input
        id="token"
        type={shown ? "text" : "password"}
        placeholder="rca_…"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onBlur={apply}
      />
      <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
        {shown ? "Hide" : "Show"}
      </button>
      <button type="button" disabled={!text && !current} onClick={() => (setText(""), token.set(""))}>
        Forget token
      </button>
    </form>
  );
}

function PreparedTabs() {
  const { changeTab, moveTab, updateActiveTabValues } = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const editor = useGraphiQL((state) => state.queryEditor);
  const [requested, setRequested] = useState(false);
  const restore = () => {
    // The tab does not have the latest input of the editor yet.
    if (editor) updateActiveTabValues({ query: editor.getValue() });
    setRequested(true);
  };
  useEffect(() => {
    const all = withPrepared(tabs);
    if (requested && all.length > tabs.length) {
      moveTab(all);
      changeTab(tabs.length);
    }
    setRequested(false);
  }, [requested]);
  return (
    <button type="button" title="Restores tabs that were changed or closed" onClick={restore}>
      Prepared tabs
    </button>
  );
}

function Hint() {
  const text = useObservable(hint);
  const { introspect } = useGraphiQLActions();
  if (!text) return null;
  return (
    <p className="bar-hint" role="alert">
      <span>{text}</span>
      <button type="button" onClick={() => introspect()}>
        Try again
      </button>
    </p>
  );
}

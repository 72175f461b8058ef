import "./monaco.js";
import "graphiql/graphiql.css";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "./page.css";

import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { createPortal } from "react-dom";
import { createRoot } from "react-dom/client";
import { Bar } from "./bar.jsx";
import { fetcher } from "./fetcher.js";
import { streams } from "./streams.js";
import { firstTab, preparedTabs } from "./tabs.js";
import { token } from "./token.js";

function Page() {
  const current = useSyncExternalStore(token.subscribe, token.get);
  // GraphiQL reloads the schema when it gets another fetcher.
  const send = useMemo(() => (params) => fetcher(params), [current]);
  const first = useMemo(firstTab, []);
  const actions = useRef(null);
  return (
    <GraphiQL
      fetcher={send}
      defaultTabs={preparedTabs}
      initialQuery={first?.query ?? ""}
      initialVariables={first?.variables ?? ""}
      defaultEditorToolsVisibility="variables"
      isHeadersEditorEnabled={false}
      inputValueDeprecation
      onTabChange={(state) => streams.onTabsChange(state, actions.current)}
    >
      <GraphiQL.Logo>{null}</GraphiQL.Logo>
      <GraphiQLState actionsRef={actions} />
    </GraphiQL>
  );
}

/** The parts of the page that need GraphiQL's state. */
function GraphiQLState({ actionsRef }) {
  const actions = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const activeTabIndex = useGraphiQL((state) => state.activeTabIndex);
  const editor = useGraphiQL((state) => state.queryEditor);
  const ready = useGraphiQL((state) => Boolean(state.queryEditor && state.responseEditor));
  const active = tabs[activeTabIndex]?.id;
  actionsRef.current = actions;
  useEffect(() => {
    streams.onTabsChange({ tabs, activeTabIndex }, actions);
    if (ready && streams.wasLeft(active)) actions.run();
  }, [active, ready]);
  useEffect(() => editor?.updateOptions({ wordWrap: "on" }), [editor]);
  return createPortal(<Bar />, document.getElementById("bar"));
}

document.getElementById("bar").className = "graphiql-container bar";
createRoot(document.getElementById("graphiql")).render(<Page />);

// Monaco's workers are files of this server; the page's head has their names.
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const link = document.getElementById(`${label}-worker`) ?? document.getElementById("editor-worker");
    return new Worker(link.href, { type: "module", name: label });
  },
};

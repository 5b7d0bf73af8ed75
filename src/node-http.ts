/**
 * `node:http`, not imported: an ES module import reads every export, and among those of `node:http` are getters that load Node's own fetch and
 * WebSocket — 13 MB and some 30 ms for a process that may use neither.
 */
export const { createServer, IncomingMessage, Server, ServerResponse, STATUS_CODES } = process.getBuiltinModule('node:http')

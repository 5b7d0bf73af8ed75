const gated = new WeakSet<object>()

/** From now on every connection of `server` comes by a gate. */
export function markGated(server: object): void {
  gated.add(server)
}

/** Whether it does: a connection that no gate knows came around it. */
export function isGated(server: unknown): boolean {
  return typeof server === 'object' && server !== null && gated.has(server)
}

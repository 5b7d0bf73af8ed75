import { setImmediate } from 'node:timers/promises'

/** How long a change may take to get to a client. */
const changeMs = 20_000

/** The first answer that `holds`, of calls made one after the other. */
export async function eventually<T>(call: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  const end = Date.now() + changeMs
  for (;;) {
    const answer = await call()
    if (holds(answer)) return answer
    if (Date.now() > end) throw new Error(`waited in vain, the last: ${JSON.stringify(answer)}`)
    // A call that the client answers by itself must not keep the change from coming in.
    await setImmediate()
  }
}

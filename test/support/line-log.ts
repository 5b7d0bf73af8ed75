import { EventEmitter, once } from 'node:events'
import type { TestContext } from 'node:test'

/** Lines as they are written, for a test that waits for one. */
export class LineLog {
  readonly lines: string[] = []
  readonly #events = new EventEmitter()

  add(text: string): void {
    this.lines.push(...text.split('\n').filter(line => line !== ''))
    this.#events.emit('line')
  }

  /** The first line, past or to come, that `matches`. */
  async line(matches: RegExp): Promise<string> {
    for (;;) {
      const found = this.lines.find(line => matches.test(line))
      if (found !== undefined) return found
      await once(this.#events, 'line')
    }
  }
}

/** What this process writes to standard error until the test ends. */
export function captureStderr(t: TestContext): LineLog {
  const log = new LineLog()
  t.mock.method(process.stderr, 'write', (text: string | Uint8Array) => {
    log.add(String(text))
    return true
  })
  return log
}

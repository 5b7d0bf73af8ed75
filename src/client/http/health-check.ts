import type { Dispatcher } from 'undici'
import { type CheckAnswer, type HttpCheck, judgeStatus } from '../../policies/health-check.ts'
import type { ConnectionPools } from './connection-pool.ts'

/** A host name, an IPv4 address or a bracketed IPv6 address, with or without a port: what a URL can hold. */
const urlHost = /^([\w.-]+|\[[\da-f:.]+\])(:\d{1,5})?$/i

/**
 * Sends a request and judges the status of its answer once that is complete. Returns what gives up; nobody is told then.
 *
 * @param host the Host header, which may be anything: Envoy sends the name of the cluster
 */
export function checkHttpHealth(
  pools: ConnectionPools,
  scheme: 'http' | 'https',
  host: string,
  check: HttpCheck,
  done: (answer: CheckAnswer) => void,
): () => void {
  const isUrlHost = urlHost.test(host)
  const handler = new StatusHandler(check, done)
  pools.get(`${scheme}://${isUrlHost ? host : 'health-check'}`).dispatch(
    {
      method: check.method as Dispatcher.HttpMethod,
      path: check.path,
      headers: isUrlHost ? [...check.headers] : ['host', host, ...check.headers],
    },
    handler,
  )
  return () => handler.giveUp()
}

class StatusHandler implements Dispatcher.DispatchHandler {
  readonly #check: HttpCheck
  readonly #done: (answer: CheckAnswer) => void
  #controller: Dispatcher.DispatchController | null = null
  #isGivenUp = false
  #status = 0

  constructor(check: HttpCheck, done: (answer: CheckAnswer) => void) {
    this.#check = check
    this.#done = done
  }

  giveUp(): void {
    this.#isGivenUp = true
    this.#controller?.abort(new Error('the health check is late'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isGivenUp) controller.abort(new Error('the health check is late'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    if (status >= 200) this.#status = status
  }

  onResponseData(): void {}

  onResponseEnd(): void {
    if (!this.#isGivenUp) this.#done(judgeStatus(this.#status, this.#check))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#isGivenUp) this.#done({ result: 'failed', reason: error.message })
  }
}

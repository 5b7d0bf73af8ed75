import type { Logger, Random } from '../runtime.ts'
import { badRequest, type Denial, notFound, unavailable } from './denial.ts'
import type { RequestView } from './request-view.ts'

/** Judges requests by the filter chain of their connection. */
export class RequestGate {
  readonly #random: Random
  readonly #logger: Logger

  constructor(random: Random, logger: Logger) {
    this.#random = random
    this.#logger = logger
  }

  /**
   * Whether a request is served: `null`, else what is answered in the place of the application. An error on the way is a denial.
   *
   * @param problem why it cannot be judged, from the parts that only its protocol has; empty: none
   */
  judge(request: RequestView, problem: string): Denial | null | Promise<Denial | null> {
    try {
      const verdict = this.#judge(request, problem)
      if (!(verdict instanceof Promise)) return this.#told(request, verdict)
      return verdict.then(
        denial => this.#told(request, denial),
        error => this.#failed(request, error),
      )
    } catch (error) {
      return this.#failed(request, error)
    }
  }

  #judge(request: RequestView, problem: string): Denial | null | Promise<Denial | null> {
    const { chain } = request.connection
    if (chain === null) return null
    if (problem !== '') return badRequest(problem)
    if (chain.problem !== '') return unavailable(chain.problem)
    const route = chain.match(request, this.#random())
    if (route === null) return notFound('no route matches')
    if (route.action.kind !== 'non-forwarding') return unavailable(`route "${route.name}" is not for a server`)
    return route.attachment?.judge(request) ?? null
  }

  #told(request: RequestView, denial: Denial | null): Denial | null {
    const { notes } = request
    if (denial !== null)
      this.#logger.info(`request is denied: ${denial.reason}`, { statusCode: denial.statusCode, ...about(request) })
    for (const { kind, filter, allowed, policy } of notes) {
      if (kind === 'failed-open') {
        this.#logger.warn(`let in without an answer: ${filter}: ${policy}`, about(request))
        continue
      }
      if (kind === 'audit') this.#logger.warn(`audit: policy ${policy} of ${filter}`, about(request))
      else if (kind === 'audit-failure') this.#logger.error(`an audit logger of ${filter} failed: ${policy}`, about(request))
      else if (!allowed)
        this.#logger.warn(`dry run: ${filter} would deny it${policy === undefined ? '' : `, by ${policy}`}`, about(request))
    }
    return denial
  }

  #failed(request: RequestView, error: unknown): Denial {
    const { name = 'Error', message = String(error) } = error instanceof Error ? error : {}
    this.#logger.error('a request could not be judged', { error: `${name}: ${message}`, ...about(request) })
    return { statusCode: 403, grpcStatus: 7, message: 'RBAC: access denied', reason: message }
  }
}

function about({ connection, method, pathname }: RequestView): Readonly<Record<string, unknown>> {
  return { method, path: pathname, source: connection.peer?.principals[0] ?? connection.facts.sourceAddress }
}

import type { FormatCommand, FormatContext } from '../policies/header-format.ts'
import type { CompiledHeaderMutations } from '../policies/header-mutation.ts'
import type { SessionHeader } from '../policies/stateful-session.ts'
import type { Exchange } from './exchange.ts'
import type { ReadableHeaders } from './finalize-request.ts'
import { formatCommand } from './format-command.ts'
import { readRequestHeader } from './route-matcher.ts'

/** Changes the headers of an answer in place, as the exchange's route says. */
export function mutateAnswer(exchange: Exchange, answer: ReadableHeaders): void {
  const mutations: CompiledHeaderMutations | null =
    exchange.choice?.responseMutations ?? exchange.route?.responseMutations ?? null
  if (exchange.route?.attachment?.answersAttemptCount === true && exchange.attempts > 0) {
    answer.set('x-envoy-attempt-count', String(exchange.attempts))
  }
  const session = sessionHeader(exchange)
  if (session !== null) answer.append(session.name, session.value)
  if (exchange.cookie !== null) answer.append('set-cookie', exchange.cookie)
  if (mutations !== null) mutations.apply(answer, new AnswerFormat(exchange, answer))
}

function sessionHeader(exchange: Exchange): SessionHeader | null {
  const { choice, endpoint, cluster, sessionTarget, isGrpc, environment } = exchange
  const session = choice?.attachment?.session ?? null
  if (session === null || endpoint === null || cluster === null || exchange.attempts === 0) return null
  const served = { address: endpoint.name, cluster: cluster.name }
  return session.answer(exchange, sessionTarget, served, isGrpc, environment.clock.wallNow())
}

class AnswerFormat implements FormatContext {
  readonly #exchange: Exchange
  readonly #answer: ReadableHeaders

  constructor(exchange: Exchange, answer: ReadableHeaders) {
    this.#exchange = exchange
    this.#answer = answer
  }

  requestHeader(name: string): string | undefined {
    const value = readRequestHeader(this.#exchange, name)
    return typeof value === 'string' ? value : value?.[0]
  }

  responseHeader(name: string): string | undefined {
    return this.#answer.get(name)
  }

  command(name: FormatCommand): string | undefined {
    return formatCommand(this.#exchange, this.#exchange.endpoint, name)
  }
}

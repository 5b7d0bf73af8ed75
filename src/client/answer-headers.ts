import type { FormatCommand, FormatContext } from '../policies/header-format.ts'
import type { CompiledHeaderMutations } from '../policies/header-mutation.ts'
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
  if (exchange.cookie !== null) answer.append('set-cookie', exchange.cookie)
  if (mutations !== null) mutations.apply(answer, new AnswerFormat(exchange, answer))
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

import type { FormatCommand, FormatContext } from '../../policies/header-format.ts'
import type { CompiledHeaderMutations } from '../../policies/header-mutation.ts'
import type { Exchange } from '../exchange.ts'
import { ObjectHeaders } from '../object-headers.ts'
import { readRequestHeader } from '../route-matcher.ts'
import { formatCommand } from './attempt-request.ts'

type Headers = Record<string, string | string[] | undefined>

/** Changes the headers of an answer in place, as the exchange's route says. */
export function mutateAnswer(exchange: Exchange, headers: Headers): void {
  const mutations: CompiledHeaderMutations | null =
    exchange.choice?.responseMutations ?? exchange.route?.responseMutations ?? null
  const answer = new ObjectHeaders(headers)
  if (exchange.route?.attachment?.answersAttemptCount === true && exchange.attempts > 0) {
    answer.set('x-envoy-attempt-count', String(exchange.attempts))
  }
  if (exchange.cookie !== null) answer.append('set-cookie', exchange.cookie)
  if (mutations !== null) mutations.apply(answer, new AnswerFormat(exchange, answer))
}

class AnswerFormat implements FormatContext {
  readonly #exchange: Exchange
  readonly #answer: ObjectHeaders

  constructor(exchange: Exchange, answer: ObjectHeaders) {
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

import type { CheckAllowed, CheckDecision, CheckDenied } from '../policies/ext-authz/check-decision.ts'
import type { BodySettings, CheckSettings, ExtAuthzConfig } from '../policies/ext-authz/ext-authz-config.ts'
import {
  changeHeaders,
  type HeaderChange,
  headerChangeProblem,
  isFixed,
  isSingular,
} from '../policies/ext-authz/header-change.ts'
import { selectCheckHeaders } from '../policies/ext-authz/header-selection.ts'
import { changeQuery } from '../policies/ext-authz/query-change.ts'
import { isSelected } from '../policies/fraction.ts'
import { type CompiledMetadataMatcher, compileMetadataMatcher } from '../policies/rbac/metadata-matcher.ts'
import type { Clock, Random } from '../runtime.ts'
import { type Authorizer, makeAuthorizer } from './authorizer.ts'
import type { AuthorizerCalls } from './authorizer-calls.ts'
import { type CheckScope, checkAttributes, formatContextOf, type ReceivedBody } from './check-attributes.ts'
import { type Denial, denialByStatus } from './denial.ts'
import { HeldBody } from './held-body.ts'
import type { RequestFilter } from './request-filters.ts'
import type { RequestView } from './request-view.ts'

/** The filter `envoy.filters.http.ext_authz` of a server, as a route has it. */
export interface ExtAuthzFilterOptions {
  /** As configured. */
  readonly name: string
  readonly config: ExtAuthzConfig
  /** Of the route, with those of its virtual host. */
  readonly settings: CheckSettings | undefined
  readonly calls: AuthorizerCalls
  readonly clock: Clock
  readonly random: Random
}

const filterName = 'envoy.filters.http.ext_authz'
const failureModeHeader = 'x-envoy-auth-failure-mode-allowed'

/** Asks an authorizer of its own about every request that it is enabled for. Nobody passes without an answer, unless that is configured. */
export class ExtAuthzRequestFilter implements RequestFilter {
  readonly #name: string
  readonly #config: ExtAuthzConfig
  readonly #body: BodySettings | undefined
  readonly #enabledMetadata: CompiledMetadataMatcher | undefined
  readonly #authorizer: Authorizer
  readonly #scope: CheckScope

  /** @throws Error when a regex is none */
  constructor({ name, config, settings, calls, clock, random }: ExtAuthzFilterOptions) {
    this.#name = name
    this.#config = config
    this.#body = settings?.disablesBody === true ? undefined : (settings?.body ?? config.body)
    this.#enabledMetadata = config.enabledMetadata && compileMetadataMatcher(config.enabledMetadata)
    this.#authorizer = makeAuthorizer(config, calls)
    const isTold = selectCheckHeaders(config.authorizer.kind, config.allowedHeaders, config.disallowedHeaders)
    this.#scope = { config, isTold, contextExtensions: settings?.contextExtensions ?? {}, clock, random }
  }

  judge(request: RequestView): Denial | null | Promise<Denial | null> {
    if (!this.#isEnabled(request))
      return this.#config.deniesWhenDisabled ? this.#unanswered('is not enabled for the request') : null
    const { stream } = request
    return this.#body === undefined || stream === undefined || stream.body === null
      ? this.#check(request, undefined)
      : this.#checkWithBody(request, this.#body)
  }

  #isEnabled(request: RequestView): boolean {
    const { enabledFraction, enabledMetadata } = this.#config
    if (enabledFraction !== undefined && !isSelected(enabledFraction, this.#scope.random())) return false
    if (enabledMetadata === undefined || this.#enabledMetadata === undefined || request.hasLostMetadata) return true
    return this.#enabledMetadata.matches(request.metadataOf(enabledMetadata.filter))
  }

  async #checkWithBody(request: RequestView, { maxBytes, allowsPartial }: BodySettings): Promise<Denial | null> {
    const { stream } = request
    if (stream === undefined || stream.body === null) return this.#check(request, undefined)
    stream.sendContinue()
    const held = await HeldBody.hold(stream.body, maxBytes)
    try {
      if (stream.body.destroyed) return this.#unanswered('asks nobody: the caller is gone')
      const isPartial = held.size > maxBytes
      if (isPartial && !allowsPartial)
        return denialByStatus(413, 'Payload Too Large', `${this.#name}: the body is larger than ${maxBytes} bytes`)
      return await this.#check(request, { bytes: held.first(maxBytes), isPartial, size: held.size })
    } finally {
      held.release()
    }
  }

  async #check(request: RequestView, body: ReceivedBody | undefined): Promise<Denial | null> {
    const decision = await this.#ask(request, body)
    if (decision.kind === 'failed') return this.#failed(request, decision.reason)
    if (decision.metadata !== undefined && this.#config.keepsMetadata) request.addMetadata(filterName, decision.metadata)
    return decision.kind === 'allowed' ? this.#allow(request, decision) : this.#deny(decision)
  }

  async #ask(request: RequestView, body: ReceivedBody | undefined): Promise<CheckDecision> {
    const { timeoutMs } = this.#config.authorizer
    const caller = request.stream?.caller
    const abort = new AbortController()
    const onClose = () => abort.abort(new Error('the caller is gone'))
    const timer =
      timeoutMs === 0
        ? null
        : this.#scope.clock.setTimeout(() => abort.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    caller?.once('close', onClose)
    try {
      const attributes = checkAttributes(request, body, this.#scope)
      return await this.#authorizer.check(attributes, formatContextOf(request), this.#body?.isRaw ?? false, abort.signal)
    } catch (error) {
      return { kind: 'failed', reason: error instanceof Error ? error.message : String(error) }
    } finally {
      timer?.cancel()
      caller?.off('close', onClose)
    }
  }

  #allow(request: RequestView, decision: CheckAllowed): Denial | null {
    const { requestHeaders, requestHeadersToRemove, responseHeaders, queryToSet, queryToRemove } = decision
    const problem = headerChangeProblem(requestHeaders) ?? headerChangeProblem(responseHeaders)
    if (problem !== undefined) return this.#invalid(problem)
    changeHeaders(
      {
        has: name => request.header(name) !== undefined,
        set: (name, value) => request.setHeader(name, value),
        append: (name, value) => request.setHeader(name, [request.header(name) ?? [], value].flat().join(',')),
      },
      requestHeaders,
    )
    for (const name of requestHeadersToRemove) if (!isFixed(name)) request.removeHeader(name)
    if (queryToSet.length + queryToRemove.length > 0) request.setPath(changeQuery(request.path, queryToSet, queryToRemove))
    if (responseHeaders.length > 0) request.stream?.changeAnswer(responseHeaders)
    return null
  }

  #deny({ status, headers, body }: CheckDenied): Denial {
    const problem = headerChangeProblem(headers)
    if (problem !== undefined) return this.#invalid(problem)
    // What is no status of an answer.
    const statusCode = status >= 200 && status <= 599 ? status : 403
    const denial = denialByStatus(statusCode, Buffer.from(body).toString('utf8'), `${this.#name} denies it`)
    return { ...denial, body, headers: answerHeaders(headers) }
  }

  #failed(request: RequestView, reason: string): Denial | null {
    const { allowsOnFailure, marksFailure, authorizer } = this.#config
    if (!allowsOnFailure) return this.#unanswered(`cannot ask ${authorizer.cluster}: ${reason}`)
    if (marksFailure) request.setHeader(failureModeHeader, 'true')
    request.note('failed-open', this.#name, true, reason)
    return null
  }

  #unanswered(reason: string): Denial {
    return denialByStatus(this.#config.statusOnError, '', `${this.#name} ${reason}`)
  }

  #invalid(problem: string): Denial {
    return denialByStatus(500, '', `${this.#name}: ${problem}`)
  }
}

function answerHeaders(changes: readonly HeaderChange[]): Readonly<Record<string, string | string[]>> {
  const headers = new Map<string, string[]>()
  changeHeaders(
    {
      has: name => headers.has(name),
      set: (name, value) => headers.set(name, [value]),
      append: (name, value) => headers.set(name, isSingular(name) ? [value] : [...(headers.get(name) ?? []), value]),
    },
    changes,
  )
  return Object.fromEntries([...headers].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]))
}

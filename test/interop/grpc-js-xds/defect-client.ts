import { join } from 'node:path'
import { createMesh } from '../../../src/index.ts'
import { silentLogger } from '../../../src/runtime.ts'
import type { FakeAdsServer, RecordedRequest } from '../../support/fake-ads-server.ts'
import { type ClientAnswer, type ClientCall, inProcess, startProgram, type XdsClient } from '../support/xds-client.ts'
import { echoPath } from './defect-backend.ts'

/** Who is compared; also the id of its node. */
export type ContestantName = 'grpc-js-xds' | 'inmesh'

/** How each is started from the JSON of a bootstrap. */
export const startContestant: Readonly<Record<ContestantName, (bootstrap: object) => Promise<XdsClient>>> = {
  'grpc-js-xds': async bootstrap => {
    const program = join(import.meta.dirname, 'calls.ts')
    // The file that the first would name comes before the second.
    const env = { GRPC_XDS_BOOTSTRAP: '', GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) }
    return startProgram(process.execPath, [program], env)
  },
  inmesh: async bootstrap =>
    inProcess(
      await createMesh({
        env: { GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) },
        runtime: { logger: silentLogger },
      }),
    ),
}

/** A call to make; by default of {@link echoPath} at `xds:///one`, with a deadline of 10 s. */
export interface DefectCall extends Partial<ClientCall> {
  /** In place of `one`. */
  readonly listener?: string
}

let callCount = 0

/** One of two clients on the same control plane, with what the control plane hears of it. */
export class DefectClient {
  readonly name: ContestantName
  readonly #client: XdsClient
  readonly #server: FakeAdsServer

  constructor(name: ContestantName, client: XdsClient, server: FakeAdsServer) {
    this.name = name
    this.#client = client
    this.#server = server
  }

  /** Makes a call. */
  async call(call: DefectCall = {}): Promise<ClientAnswer> {
    const [answer] = await this.callAll([call])
    if (answer === undefined) throw new Error('no answer')
    return answer
  }

  /** Makes calls at once. */
  callAll(calls: readonly DefectCall[]): Promise<readonly ClientAnswer[]> {
    const made = calls.map(({ listener = 'one', ...call }) => ({
      id: `${this.name} ${callCount++}`,
      target: `xds:///${listener}`,
      method: echoPath,
      metadata: {},
      deadlineMs: 10_000,
      ...call,
    }))
    return this.#client.make(made, made.length)
  }

  /** What it sent on streams of discovery, all or of one type, in order. */
  requests(typeUrl?: string): readonly RecordedRequest[] {
    const streams = new Set(this.#server.requests.flatMap(({ node, stream }) => (node?.id === this.name ? [stream] : [])))
    return this.#server.requests.filter(each => streams.has(each.stream) && (typeUrl ?? each.typeUrl) === each.typeUrl)
  }

  /** Its first request, past or to come, that `matches`. */
  request(matches: (request: RecordedRequest) => boolean): Promise<RecordedRequest> {
    return this.#server.request(each => matches(each) && this.requests().includes(each))
  }

  /** Applies a change to the control plane, and resolves when the client has answered the response of this type that follows. */
  async answers(typeUrl: string, change: () => void): Promise<void> {
    const last = Math.max(0, ...this.requests(typeUrl).map(({ nonce }) => Number(nonce)))
    change()
    await this.request(each => each.typeUrl === typeUrl && Number(each.nonce) > last)
  }

  close(): Promise<void> {
    return this.#client.close()
  }
}

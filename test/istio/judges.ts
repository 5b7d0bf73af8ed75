import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { freePorts } from '../support/free-ports.ts'
import { certificateFor, type WorkloadCertificate } from '../support/workload-certificate.ts'
import { askWorkload, parseCall, type WorkloadCall } from './ask-workload.ts'
import { callers, type Verdict, workload } from './authorization-case.ts'
import { type Istiod, type Sidecar, startIstiod, startProxy } from './istio.ts'
import { startSecretServer } from './secret-server.ts'
import { ServedWorkload } from './served-workload.ts'
import { issueTokens, type Tokens } from './tokens.ts'

/** What both make of one request. */
export interface Verdicts {
  readonly istio: Verdict
  readonly inmesh: Verdict
}

/** Asks both workloads under the same documents. */
export type AskBoth = (written: string) => Promise<Verdicts>

/** The port of the sidecar, in front of an application that answers everything: a listener of its own for each set of documents. */
const sidecarAt = (port: number, application: number) => `
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: workload, namespace: ${workload.namespace} }
spec:
  workloadSelector: { labels: { app: ${workload.labels.app} } }
  ingress:
  - { port: { number: ${port}, protocol: HTTP, name: http }, bind: 127.0.0.1, captureMode: NONE, defaultEndpoint: '127.0.0.1:${application}' }
`

/** Istio's discovery server with a real Envoy, and our control plane with our server, before the same workload. */
export class Judges {
  readonly #application: Server
  readonly #served: ServedWorkload
  readonly #secretServer: { close(): void }
  readonly #istiod: Istiod
  readonly #sidecar: Sidecar
  readonly #tokens: Tokens
  readonly #secrets: Readonly<Record<string, WorkloadCertificate>>
  /** Two for each set of documents. */
  readonly #ports: number[]

  private constructor(parts: {
    readonly application: Server
    readonly served: ServedWorkload
    readonly secretServer: { close(): void }
    readonly istiod: Istiod
    readonly sidecar: Sidecar
    readonly tokens: Tokens
    readonly secrets: Readonly<Record<string, WorkloadCertificate>>
    readonly ports: number[]
  }) {
    this.#application = parts.application
    this.#served = parts.served
    this.#secretServer = parts.secretServer
    this.#istiod = parts.istiod
    this.#sidecar = parts.sidecar
    this.#tokens = parts.tokens
    this.#secrets = parts.secrets
    this.#ports = parts.ports
  }

  /** @param rounds how often {@link judge} is called */
  static async start(rounds: number): Promise<Judges> {
    const [first = 0, ...ports] = await freePorts(1 + 2 * rounds)
    const tokens = await issueTokens()
    const application = createServer((_, response) => response.end('served')).listen(0, '127.0.0.1')
    const served = await ServedWorkload.start(workload)
    const { trustDomain, namespace, service, labels } = workload
    const secrets: Record<string, WorkloadCertificate> = {}
    for (const [name, path] of Object.entries(callers))
      secrets[name] = await certificateFor(served.authority, `spiffe://${trustDomain}${path}`)
    const own = await certificateFor(served.authority, `spiffe://${trustDomain}/ns/${namespace}/sa/${service}`)
    const secretServer = await startSecretServer(own)
    const istiod = await startIstiod(sidecarAt(first, 1))
    const sidecar = startProxy(istiod.address, { workload: `${service}.${namespace}`, labels, secrets: secretServer.address })
    await sidecar.listensOn(first)
    return new Judges({ application, served, secretServer, istiod, sidecar, tokens, secrets, ports })
  }

  /** Has both serve under documents in which `PORT` is where they listen and `JWKS` the keys of the tokens, for as long as `ask` takes. */
  async judge(yaml: string, ask: (askBoth: AskBoth) => Promise<void>): Promise<void> {
    const [theirs = 0, ours = 0] = this.#ports.splice(0, 2)
    const documents = (port: number) => yaml.replaceAll('PORT', String(port)).replaceAll('JWKS', this.#tokens.jwks)
    this.#istiod.rewrite(documents(theirs) + sidecarAt(theirs, (this.#application.address() as AddressInfo).port))
    const stop = await this.#served.serve(documents(ours), ours)
    try {
      await this.#sidecar.listensOn(theirs)
      await ask(async written => {
        const call = parseCall(written, this.#tokens.signed)
        return { istio: await this.#ask(theirs, call), inmesh: await this.#ask(ours, call) }
      })
    } finally {
      stop()
    }
  }

  async close(): Promise<void> {
    await this.#sidecar.close()
    await this.#istiod.close()
    this.#secretServer.close()
    await this.#served.close()
    this.#application.closeAllConnections()
    this.#application.close()
  }

  #ask(port: number, call: WorkloadCall): Promise<Verdict> {
    return askWorkload(port, call, this.#secrets)
  }
}

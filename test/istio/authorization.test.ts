import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { freePorts } from '../support/free-ports.ts'
import { certificateFor, type WorkloadCertificate } from '../support/workload-certificate.ts'
import { askWorkload, parseCall } from './ask-workload.ts'
import { authenticationCases } from './authentication-cases.ts'
import { callers, workload } from './authorization-case.ts'
import { authorizationCases } from './authorization-cases.ts'
import { type Istiod, type Sidecar, startIstiod, startProxy } from './istio.ts'
import { startSecretServer } from './secret-server.ts'
import { ServedWorkload } from './served-workload.ts'
import { issueTokens, type Tokens } from './tokens.ts'

const cases = [...authorizationCases, ...authenticationCases]

/** The port of the sidecar, in front of an application that answers everything: a listener of its own for each case. */
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

/** The same policies, by Istio onto a real Envoy and by our control plane onto our server: the same requests get the same answers. */
describe('AuthorizationPolicy is judged as by Istio', () => {
  let application: Server
  let served: ServedWorkload
  let istiod: Istiod
  let sidecar: Sidecar
  let tokens: Tokens
  let ports: readonly number[]
  let secretServer: { close(): void }
  const secrets: Record<string, WorkloadCertificate> = {}

  before(async () => {
    ports = await freePorts(1 + 2 * cases.length)
    tokens = await issueTokens()
    application = createServer((_, response) => response.end('served')).listen(0, '127.0.0.1')
    served = await ServedWorkload.start(workload)
    const { trustDomain, namespace, service } = workload
    for (const [name, path] of Object.entries(callers))
      secrets[name] = await certificateFor(served.authority, `spiffe://${trustDomain}${path}`)
    const own = await certificateFor(served.authority, `spiffe://${trustDomain}/ns/${namespace}/sa/${service}`)
    const agent = await startSecretServer(own)
    secretServer = agent
    istiod = await startIstiod(sidecarAt(ports[0] ?? 0, 1))
    sidecar = startProxy(istiod.address, {
      workload: `${service}.${namespace}`,
      labels: workload.labels,
      secrets: agent.address,
    })
    await sidecar.listensOn(ports[0] ?? 0)
  })

  after(async () => {
    await sidecar?.close()
    await istiod?.close()
    secretServer?.close()
    await served?.close()
    application?.closeAllConnections()
    application?.close()
  })

  for (const [index, { name, yaml, asks }] of cases.entries()) {
    test(name, async () => {
      const [theirs = 0, ours = 0] = ports.slice(1 + 2 * index)
      const documents = (port: number) => yaml.replaceAll('PORT', String(port)).replaceAll('JWKS', tokens.jwks)
      istiod.rewrite(documents(theirs) + sidecarAt(theirs, (application.address() as AddressInfo).port))
      const stop = await served.serve(documents(ours), ours)
      try {
        await sidecar.listensOn(theirs)
        const answers: Record<string, unknown> = {}
        const expected: Record<string, unknown> = {}
        for (const [written, verdict] of Object.entries(asks)) {
          const call = parseCall(written, tokens.signed)
          const [istio, inmesh] = [await askWorkload(theirs, call, secrets), await askWorkload(ours, call, secrets)]
          answers[written] = { istio, inmesh }
          expected[written] =
            typeof verdict === 'object' ? { istio: verdict.istio, inmesh: verdict.inmesh } : { istio: verdict, inmesh: verdict }
        }
        assert.deepEqual(answers, expected)
      } finally {
        stop()
      }
    })
  }
})

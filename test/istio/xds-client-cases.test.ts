import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createMesh } from '../../src/index.ts'
import { silentLogger } from '../../src/runtime.ts'
import { CaseBackends } from '../interop/support/case-backends.ts'
import { runCase } from '../interop/support/run-case.ts'
import { inProcess, type XdsClient } from '../interop/support/xds-client.ts'
import { defaultEndpoints, documentsOf, hostOf } from '../interop/support/xds-client-case.ts'
import { xdsClientCases } from '../interop/support/xds-client-cases.ts'
import { type Istiod, startIstiod } from './istio.ts'

/** The table that gRPC clients are asked of on our control plane, asked of ours on Istio's discovery server. */
describe('gRPC calls follow Istio', () => {
  let istiod: Istiod
  let client: XdsClient
  const backends: CaseBackends[] = []
  const documents: string[] = []

  before(async () => {
    for (const [index, aCase] of xdsClientCases.entries()) {
      const its = await CaseBackends.start(aCase.endpoints ?? defaultEndpoints)
      backends.push(its)
      documents.push(documentsOf(aCase, hostOf(index), its.ports))
    }
    istiod = await startIstiod(documents.join('---\n'))
    const node = {
      id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local',
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default' },
      locality: { region: 'near', zone: 'a' },
    }
    const server = { server_uri: istiod.address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }
    const runtime = { logger: silentLogger }
    client = inProcess(await createMesh({ bootstrap: { xds_servers: [server], node }, env: {}, runtime }))
  })

  after(async () => {
    await client?.close()
    await istiod?.close()
    for (const each of backends) each.close()
  })

  for (const [index, aCase] of xdsClientCases.entries())
    test(aCase.name, async () => {
      const its = backends[index]
      assert.ok(its)
      const serve = async (http: string | undefined) => {
        documents[index] = documentsOf(aCase, hostOf(index), its.ports, http)
        istiod.rewrite(documents.join('---\n'))
      }
      await runCase(aCase, { name: 'inmesh', client, host: hostOf(index), backends: its, serve })
    })
})

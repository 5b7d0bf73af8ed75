import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type ControlPlane, startControlPlane } from '@inmesh/control-plane'
import { CaseBackends } from './support/case-backends.ts'
import { runCase } from './support/run-case.ts'
import { type ClientBootstrap, startClient, type XdsClient } from './support/xds-client.ts'
import { type ClientName, defaultEndpoints, documentsOf, hostOf } from './support/xds-client-case.ts'
import { xdsClientCases } from './support/xds-client-cases.ts'

const names: readonly ClientName[] = ['grpc-go', 'grpcio', 'inmesh']

for (const name of names)
  describe(`${name} on the control plane`, () => {
    let folder: string
    let controlPlane: ControlPlane
    let client: XdsClient
    const backends: CaseBackends[] = []
    const serve = async (index: number, http: string | undefined) => {
      const aCase = xdsClientCases[index]
      const its = backends[index]
      if (aCase === undefined || its === undefined) return
      const file = join(folder, `${hostOf(index)}.yaml`)
      await writeFile(`${file}.new`, documentsOf(aCase, hostOf(index), its.ports, http))
      await rename(`${file}.new`, file)
    }

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'inmesh-xds-clients-'))
      for (const [index, { endpoints = defaultEndpoints, http }] of xdsClientCases.entries()) {
        backends.push(await CaseBackends.start(endpoints))
        await serve(index, http)
      }
      controlPlane = await startControlPlane({ config: folder, xdsPort: 0 })
      client = await startClient[name](await bootstrap(folder, controlPlane.xdsAddress, name))
    })

    after(async () => {
      await client?.close()
      await controlPlane?.close()
      for (const each of backends) each.close()
      await rm(folder, { recursive: true, force: true })
    })

    for (const [index, aCase] of xdsClientCases.entries())
      test(aCase.name, async () => {
        const its = backends[index]
        assert.ok(its)
        await runCase(aCase, { name, client, host: hostOf(index), backends: its, serve: http => serve(index, http) })
      })

    test('nothing was refused', () => {
      const refused = controlPlane.clients().flatMap(({ types }) => types.filter(({ state }) => state === 'ERROR'))
      assert.deepEqual(refused, [])
    })
  })

/** The bootstrap of a client in `near/a`. */
async function bootstrap(folder: string, address: string, id: string): Promise<ClientBootstrap> {
  const json = {
    xds_servers: [{ server_uri: address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id, locality: { region: 'near', zone: 'a' } },
  }
  const file = join(folder, 'bootstrap.json')
  await writeFile(file, JSON.stringify(json))
  return { json, file }
}

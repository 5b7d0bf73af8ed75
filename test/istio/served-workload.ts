import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ControlPlane, startControlPlane } from '@inmesh/control-plane'
import { createMesh, type Mesh } from '../../src/index.ts'
import { silentLogger, systemClock } from '../../src/runtime.ts'
import type { Authority } from '../support/workload-certificate.ts'

/** Who the workload is, for both meshes. */
export interface WorkloadIs {
  readonly trustDomain: string
  readonly namespace: string
  readonly service: string
  readonly labels: Readonly<Record<string, string>>
}

/** A workload of ours, on our control plane with its authority. */
export class ServedWorkload {
  readonly #folder: string
  readonly #controlPlane: ControlPlane
  readonly #mesh: Mesh
  /** What is called with the next revision, or with why there is none. */
  readonly #revisions: { next: (problem?: string) => void }

  private constructor(folder: string, controlPlane: ControlPlane, mesh: Mesh, revisions: { next: (problem?: string) => void }) {
    this.#folder = folder
    this.#controlPlane = controlPlane
    this.#mesh = mesh
    this.#revisions = revisions
  }

  static async start({ trustDomain, namespace, service, labels }: WorkloadIs): Promise<ServedWorkload> {
    const folder = mkdtempSync(join(tmpdir(), 'inmesh-served-'))
    const revisions: { next: (problem?: string) => void } = { next: () => {} }
    const info = (message: string) => {
      if (/^revision \d+: \d+ documents/.test(message)) revisions.next()
    }
    const error = (message: string) => revisions.next(message)
    const controlPlane = await startControlPlane({
      config: folder,
      xdsPort: 0,
      secure: { trustDomain, port: 0, bundlePort: 0 },
      runtime: { clock: systemClock, logger: { ...silentLogger, info, error } },
      push: { debounceMs: 0 },
    })
    const secure = authorityOf(controlPlane)
    const { bearer } = await secure.tokens.create(`spiffe://${trustDomain}/ns/${namespace}/sa/${service}`, secure.authority.pin)
    const env = {
      INMESH_CONTROL_PLANE: secure.address,
      INMESH_JOIN_TOKEN: bearer,
      INMESH_SERVICE: service,
      INMESH_ADDRESS: '127.0.0.1',
      INMESH_LABELS: Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(),
    }
    const mesh = await createMesh({ env, runtime: { logger: silentLogger } })
    return new ServedWorkload(folder, controlPlane, mesh, revisions)
  }

  get authority(): Authority {
    return authorityOf(this.#controlPlane)
  }

  /** Serves on `port` under these documents, and no others, until the answer is called. */
  async serve(yaml: string, port: number): Promise<() => void> {
    const taken = new Promise<void>((resolve, reject) => {
      this.#revisions.next = problem => (problem === undefined ? resolve() : reject(new Error(problem)))
    })
    writeFileSync(join(this.#folder, 'mesh.yaml'), yaml)
    await taken
    const server = this.#mesh.createServer((_, response) => response.end('served'))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return () => {
      server.closeAllConnections()
      server.close()
    }
  }

  async close(): Promise<void> {
    await this.#mesh.close()
    await this.#controlPlane.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

function authorityOf({ secure }: ControlPlane): Authority {
  if (secure === undefined) throw new Error('the control plane has no authority')
  return secure
}

import type { Random } from '../../runtime.ts'
import type { Endpoint } from '../endpoint.ts'
export class Picker {
  readonly hosts: Endpoint[]
  readonly kind: string
  at = 0
  constructor(kind: string, hosts: Endpoint[]) {
    this.kind = kind
    this.hosts = hosts
  }
  pick(random: Random): Endpoint | null {
    const { hosts } = this
    const n = hosts.length
    if (n === 0) return null
    if (this.kind === 'round-robin') {
      this.at = (this.at + 1) % n
      return hosts[this.at] ?? null
    }
    const a = hosts[(random() * n) | 0] ?? null
    if (this.kind === 'random') return a
    const b = hosts[(random() * n) | 0] ?? null
    return a !== null && b !== null && b.activeRequests < a.activeRequests ? b : a
  }
}

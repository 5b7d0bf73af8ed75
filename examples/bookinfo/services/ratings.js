// PORT=9080 node --import inmesh/register ratings.js
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const proto = grpc.loadPackageDefinition(loadSync(new URL('ratings.proto', import.meta.url).pathname))

const server = new grpc.Server()
server.addService(proto.bookinfo.Ratings.service, {
  Get({ request }, callback) {
    const { INSTANCE: instance, VERSION: version } = process.env
    callback(null, { id: request.id, stars: { Reviewer1: 5, Reviewer2: 4 }, instance, version })
  },
})
server.bindAsync(`127.0.0.1:${process.env.PORT ?? 9080}`, grpc.ServerCredentials.createInsecure(), error => {
  if (error) throw error
})

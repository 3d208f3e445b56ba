// Makes the replica set of one and the user of twin_assets. Every run ends in the same state.
const { MONGO_ROOT_PASSWORD, MONGO_PASSWORD, MONGO_ADDRESS, TWIN_MONGODB_DATABASE } = process.env;
const root = encodeURIComponent(MONGO_ROOT_PASSWORD);
const AUTHENTICATION_FAILED = 18;

// Not in a function: mongosh waits for a connection at the top alone, and catches nothing elsewhere.
let admin;
try {
  admin = connect(`mongodb://root:${root}@${MONGO_ADDRESS}/admin?directConnection=true`);
} catch (error) {
  if (error.code !== AUTHENTICATION_FAILED) {
    throw error;
  }
  throw new Error("MongoDB refuses root's login: MONGO_ROOT_PASSWORD in .env is not the one that it has");
}

if (!admin.hello().setName) {
  admin.adminCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: MONGO_ADDRESS }] } });
}
while (!admin.hello().isWritablePrimary) {
  sleep(200);
}

const roles = [TWIN_MONGODB_DATABASE, `${TWIN_MONGODB_DATABASE}_meta`].map((db) => ({ role: "readWrite", db }));
const user = { pwd: MONGO_PASSWORD, roles };
if (admin.getUser("twin")) {
  admin.updateUser("twin", user);
} else {
  admin.createUser({ user: "twin", ...user });
}

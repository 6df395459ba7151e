// SCIMMY behind Express, everything in memory: `npm install && SCIM_TOKEN=… npm start`.
//
// What SCIMMY leaves to its host is done here as the RFCs ask for it: ids, times, unique userNames, 404. Whatever a
// suite finds beyond that is SCIMMY's own.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const port = Number(process.env.PORT ?? 8752);
const token = process.env.SCIM_TOKEN;
if (!token) throw new Error("set SCIM_TOKEN");

function declare(Resource, uniqueName) {
    const held = new Map();

    const refuseDuplicate = (id, data) => {
        const wanted = uniqueName && data[uniqueName]?.toLowerCase();
        for (const other of wanted ? held.values() : []) {
            if (other.id !== id && other[uniqueName]?.toLowerCase() === wanted) {
                throw new SCIMMY.Types.Error(409, "uniqueness", `${uniqueName} is taken`);
            }
        }
    };

    const known = (id) => {
        if (!held.has(id)) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
        return held.get(id);
    };

    SCIMMY.Resources.declare(Resource)
        .ingress((resource, data) => {
            const before = resource.id ? known(resource.id) : undefined;
            const { id: _id, meta: _meta, schemas: _schemas, ...content } = JSON.parse(JSON.stringify(data));
            refuseDuplicate(before?.id, content);
            if (before && JSON.stringify(before.content) === JSON.stringify(content)) return shown(before);
            const now = new Date().toISOString();
            const id = before?.id ?? randomUUID();
            const stored = { id, content, ...content, created: before?.created ?? now, lastModified: now };
            held.set(id, stored);
            return shown(stored);
        })
        .egress((resource) => {
            if (resource.id) return shown(known(resource.id));
            const all = [...held.values()].map(shown);
            return resource.filter ? resource.filter.match(all) : all;
        })
        .degress((resource) => {
            known(resource.id);
            held.delete(resource.id);
        });

    function shown({ id, content, created, lastModified }) {
        return { ...structuredClone(content), id, meta: { resourceType: Resource.name, created, lastModified } };
    }
}

SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser);
declare(SCIMMY.Resources.User, "userName");
declare(SCIMMY.Resources.Group);

const app = express();
app.use(
    "/scim/v2",
    new SCIMMYRouters({
        type: "bearer",
        baseUri: () => `http://127.0.0.1:${port}`,
        handler: (request) => {
            if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Unauthorized");
            return undefined;
        },
    }),
);
app.listen(port, "127.0.0.1", () => console.log(`SCIMMY serves http://127.0.0.1:${port}/scim/v2`));

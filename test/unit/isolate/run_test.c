#include "world.h"
TEST(hello){ struct world w; world_open(&w);
 world_push(&w,"m.js",HELPERS "export const a = query(async (ctx,args)=>({x:args.x+1, n:1n, s:'hé'})); export const b=query(()=>{throw new Error('boom')}); export default query(()=>null); let n=0; export const c=query(()=>++n);");
 EXPECT_RUN(&w, UDF_QUERY, "a", "[{\"x\":1}]", "{\"n\":{\"$integer\":\"AQAAAAAAAAA=\"},\"s\":\"hé\",\"x\":2.0}");
 EXPECT(&w,"b","! Uncaught Error: boom"); EXPECT(&w,"c","1.0"); EXPECT(&w,"c","1.0"); EXPECT(&w,"default","null");
 world_close(&w);}
TEST_RUN(T(hello))
